#include "core/model/make_model.h"

#include "core/model/scanvi.h"
#include "core/model/vaec.h"

namespace rscvi {

Vae make_model(const VaeOptions& options, RandomStream& random) {
  std::shared_ptr<VaeImpl> model;
  switch (options.type) {
    case ModelType::vaec: model = std::make_shared<VaecImpl>(options, random); break;
    case ModelType::scanvi: model = std::make_shared<ScanviImpl>(options, random); break;
    default: model = std::make_shared<VaeImpl>(options, random);
  }
  return Vae(model);
}

}  // namespace rscvi
