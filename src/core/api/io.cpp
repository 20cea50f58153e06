#include "core/api/io.h"

#include "core/api/model_handle.h"
#include "core/io/state_file.h"

namespace rscvi::api {

void save_state(const Model& model, const std::string& path, const io::Metadata& metadata) {
  translate_errors([&] { io::save_state(*model.handle().vae, path, metadata); });
}

void load_state(Model& model, const std::string& path) {
  translate_errors([&] {
    Vae vae = model.handle().vae;  // shares the tensors
    io::load_state(*vae, path);
  });
}

}  // namespace rscvi::api
