#include "core/api/io.h"

#include "core/api/model_handle.h"
#include "core/io/state_file.h"

namespace rscvi::api {

void save_state(const Model& model, const std::string& path, const io::Metadata& metadata) {
  translate_errors([&] { io::save_state(*model.handle().module(), path, metadata); });
}

void load_state(Model& model, const std::string& path) {
  translate_errors([&] { io::load_state(*model.handle().module(), path); });
}

}  // namespace rscvi::api
