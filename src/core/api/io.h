// Files, as the glue sees them.
#pragma once

#include <string>

#include "core/api/model.h"
#include "core/io/narrow.h"
#include "core/io/output_file.h"
#include "core/io/safetensors.h"

namespace rscvi::api {

// See core/io/state_file.h.
void save_state(const Model& model, const std::string& path, const io::Metadata& metadata);
void load_state(Model& model, const std::string& path);

}  // namespace rscvi::api
