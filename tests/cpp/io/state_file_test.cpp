#include "core/io/state_file.h"

#include "core/base/errors.h"
#include "core/io/safetensors.h"
#include "helpers.h"
#include "temporary_file.h"

using namespace rscvi;
using namespace rscvi::test;

TEST_CASE("state files: a state comes back bit for bit, and the file is that of PyTorch's names, types and shapes") {
  const TemporaryFile file;
  const Vae from = toy_model(toy_options(/*n_batch=*/3));
  {
    const at::NoGradGuard no_grad;
    for (const auto& item : live_state(*from)) {
      if (item.second.scalar_type() == at::kLong) item.second.fill_(std::int64_t{1} << 40);
    }
  }
  io::save_state(*from, file.path(), {{"key", "value"}});

  const io::SafetensorsFile in(file.path());
  const State state = live_state(*from);
  REQUIRE(in.header().tensors.size() == state.size());
  for (std::size_t k = 0; k < state.size(); ++k) {
    const auto& tensor = in.header().tensors[k];
    CHECK(tensor.name == state[k].first);
    CHECK(tensor.shape == state[k].second.sizes().vec());
    const bool counter = tensor.name.find("num_batches_tracked") != std::string::npos;
    CHECK(tensor.dtype == (counter ? io::Dtype::i64 : io::Dtype::f32));
    CHECK(tensor.shape.empty() == counter);
  }
  CHECK(in.header().metadata == io::Metadata{{"key", "value"}});

  VaeOptions options = toy_options(/*n_batch=*/3);
  Vae to = toy_model(options);
  {
    const at::NoGradGuard no_grad;
    for (const auto& item : live_state(*to)) item.second.zero_();
  }
  io::load_state(*to, file.path());
  CHECK(same_bits(live_state(*to), live_state(*from)));
}

TEST_CASE("state files: the state of another model is refused, and nothing has been changed") {
  const TemporaryFile file;
  io::save_state(*toy_model(toy_options(/*n_batch=*/3)), file.path(), {});
  Vae other = toy_model(toy_options(/*n_batch=*/2));
  const State before = copy_state(*other);
  CHECK_THROWS_WITH_AS(io::load_state(*other, file.path()), doctest::Contains("tensor '"), InvalidArgument);
  CHECK(same_bits(live_state(*other), before));

  const std::vector<std::uint16_t> codes = {1};
  io::write_safetensors(file.path(), {{"px_r", io::Dtype::u16, {1}, codes.data()}});
  CHECK_THROWS_AS(io::load_state(*other, file.path()), BadFile);
}
