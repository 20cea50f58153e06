#include "core/api/model.h"

#include <cmath>

#include "core/api/tensors.h"
#include "core/distributions/count_kernels.h"
#include "helpers.h"

using namespace rscvi;
using namespace rscvi::test;
using api::Array;

namespace {

const Array& get(const api::NamedArrays& arrays, const std::string& name) {
  for (const auto& item : arrays) {
    if (item.first == name) return item.second;
  }
  throw std::runtime_error("no array called " + name);
}

api::Cells toy_cells(const Toy& toy, std::int64_t n = 20) {
  const Minibatch minibatch = minibatch_of(*toy.dataset, cells_from(0, n));
  api::Cells cells;
  cells.x = api::to_array(minibatch.x.dense());
  cells.local_l_mean = api::to_array(minibatch.local_l_mean);
  cells.local_l_var = api::to_array(minibatch.local_l_var);
  cells.batch_index.assign(toy.dataset->batch.begin(), toy.dataset->batch.begin() + n);
  cells.label.assign(toy.dataset->label.begin(), toy.dataset->label.begin() + n);
  return cells;
}

api::NoiseArrays toy_noise(std::int64_t n = 20) {
  RandomStream random(5);
  return {api::to_array(random.normal({n, 3}, c10::kCPU)), api::to_array(random.normal({n, 1}, c10::kCPU))};
}

}  // namespace

TEST_CASE("api arrays: row by row, there and back") {
  const at::Tensor tensor = matrix(2, {1, 2, 3, 4, 5, 6});
  const Array array = api::to_array(tensor.t());
  CHECK(array.shape == std::vector<std::int64_t>{3, 2});
  CHECK(array.data == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(same_bits(api::to_tensor(array), tensor.t()));
  CHECK(api::to_array(at::Tensor()).absent());
  CHECK_FALSE(api::to_tensor(Array()).defined());
  CHECK(api::to_array(at::scalar_tensor(7, at::kLong)).data == std::vector<float>{7});
}

TEST_CASE("api errors: LibTorch's exceptions become ours, without a backtrace") {
  const auto text = [](auto&& work) -> std::string {
    try {
      api::translate_errors(work);
    } catch (const InternalError& error) {
      return error.what();
    }
    return "";
  };
  const std::string message = text([] { return at::ones({2, 3}).matmul(at::ones({2, 3})); });
  CHECK(message.find("LibTorch failed: ") == 0);
  CHECK(message.find("frame #") == std::string::npos);
  CHECK_THROWS_AS(api::translate_errors([] { TORCH_CHECK(false, "CUDA out of memory"); }), DeviceError);
  CHECK_THROWS_AS(api::translate_errors([] { throw InvalidArgument("mine"); }), InvalidArgument);
}

TEST_CASE("api model: the seed decides, the state goes out and in without loss") {
  const api::Model first(toy_options(), 3), again(toy_options(), 3);
  api::Model other(toy_options(), 4);
  const api::NamedArrays state = first.state();
  REQUIRE(state.size() == again.state().size());
  for (const auto& item : state) {
    CHECK(item.second.data == get(again.state(), item.first).data);
    CHECK(item.second.shape == get(again.state(), item.first).shape);
  }
  CHECK(get(other.state(), "px_r").data != get(state, "px_r").data);
  other.load_state(state);
  for (const auto& item : other.state()) CHECK(item.second.data == get(state, item.first).data);
  CHECK(get(state, "z_encoder.mean_encoder.weight").shape == std::vector<std::int64_t>{3, 8});
}

TEST_CASE("api model: inference is what the model says, for one draw and for many") {
  const Toy toy = toy_data();
  api::Model model(toy_options(), 3);
  const api::NamedArrays one = model.inference(toy_cells(toy), 1, std::nullopt, toy_noise(), 1);
  const auto as_tensor = [&](const char* name) { return api::to_tensor(get(one, name)); };
  const at::Tensor noise_z = api::to_tensor(toy_noise().z), noise_l = api::to_tensor(toy_noise().library);
  CHECK(max_relative_difference(as_tensor("z"), as_tensor("qz_m") + at::sqrt(as_tensor("qz_v")) * noise_z) < 1e-6);
  CHECK(max_relative_difference(as_tensor("library"), as_tensor("ql_m") + at::sqrt(as_tensor("ql_v")) * noise_l) <
        1e-6);
  CHECK(max_relative_difference(as_tensor("px_rate"), at::exp(as_tensor("library")) * as_tensor("px_scale")) < 1e-6);
  CHECK(max_relative_difference(as_tensor("px_r"), at::exp(api::to_tensor(get(model.state(), "px_r")))) < 1e-6);

  api::NoiseArrays thrice;
  thrice.z = api::to_array(at::stack({noise_z, noise_z, noise_z}));
  thrice.library = api::to_array(at::stack({noise_l, noise_l, noise_l}));
  const api::NamedArrays many = model.inference(toy_cells(toy), 3, std::nullopt, thrice, 1);
  CHECK(get(many, "px_rate").shape == std::vector<std::int64_t>{3, 20, 12});
  for (int s = 0; s < 3; ++s) {
    CHECK(max_relative_difference(api::to_tensor(get(many, "px_rate"))[s], as_tensor("px_rate")) < 1e-5);
  }
}

TEST_CASE("api model: transform_batch decodes as if every cell were of that batch") {
  const Toy toy = toy_data();
  api::Model model(toy_options(), 3);
  api::Cells cells = toy_cells(toy);
  const api::NamedArrays as_second = model.inference(cells, 1, 1, toy_noise(), 1);
  cells.batch_index.assign(20, 1);
  const api::NamedArrays expected = model.inference(cells, 1, std::nullopt, toy_noise(), 1);
  for (const char* name : {"px_scale", "px_rate", "px_dropout", "qz_m"}) {
    CHECK(get(as_second, name).data == get(expected, name).data);
  }
}

TEST_CASE("api model: cells that do not fit the model are refused") {
  const Toy toy = toy_data();
  api::Model model(toy_options(), 3);
  const auto refuse = [&](auto&& change, const char* message) {
    api::Cells cells = toy_cells(toy);
    change(cells);
    CHECK_THROWS_WITH_AS(model.loss_terms(cells, toy_noise(), 1), message, InvalidArgument);
  };
  refuse([](api::Cells& c) { c.x.shape = {12, 20}; }, "x must be a matrix of cells x 12 genes");
  refuse([](api::Cells& c) { c.x = Array(); }, "x must be a matrix of cells x 12 genes");
  refuse([](api::Cells& c) { c.batch_index.pop_back(); }, "batch_index must have one element a cell (20), not 19");
  refuse([](api::Cells& c) { c.label.push_back(0); }, "y must have one element a cell (20), not 21");
  refuse([](api::Cells& c) { c.batch_index[3] = 2; }, "batch_index must be from 1 to 2, not 3");
  refuse([](api::Cells& c) { c.label[0] = -1; }, "y must be from 1 to 3, not 0");
  refuse([](api::Cells& c) { c.local_l_mean = Array{{3, 1}, {1, 2, 3}}; },
         "local_l_mean must have one element a cell");
  refuse([](api::Cells& c) { c.local_l_var = Array{{2}, {1, 2}}; }, "local_l_var must have one element a cell");
}

TEST_CASE("api model: fitting the same cells again and again lowers their loss") {
  const Toy toy = toy_data();
  api::Model model(toy_options(), 3);
  const auto total = [&] {
    const api::NamedArrays terms = model.loss_terms(toy_cells(toy), toy_noise(), 1);
    double sum = 0;
    for (const auto& item : terms) sum += api::to_tensor(item.second).sum().item<double>();
    return sum / 20;
  };
  const double before = total();
  OptimiserOptions optimiser;
  optimiser.lr = 0.01;
  const std::vector<double> losses =
      model.fit_minibatches(std::vector<api::Cells>(60, toy_cells(toy)),
                            std::vector<api::NoiseArrays>(60, toy_noise()), 1, {}, optimiser, 1);
  CHECK(losses.size() == 60);
  CHECK(losses.back() < losses.front() - 5);
  CHECK(total() < before - 5);
}

TEST_CASE("api model: log-probabilities are those of the kernels") {
  const std::vector<double> x = {0, 3, 40}, mu = {0.5, 2, 30}, theta = {2, 1e6, 0.3}, pi = {-1, 0, 2};
  const std::vector<double> zinb = api::log_probability("zinb", x, mu, theta, pi);
  const std::vector<double> nb = api::log_probability("nb", x, mu, theta, {});
  const std::vector<double> poisson = api::log_probability("poisson", x, mu, {}, {});
  for (int k = 0; k < 3; ++k) {
    CHECK(zinb[k] == ZeroInflatedNegativeBinomialKernel::evaluate(x[k], mu[k], theta[k], pi[k]).value);
    CHECK(nb[k] == NegativeBinomialKernel::evaluate(x[k], mu[k], theta[k], 0.0).value);
    CHECK(poisson[k] == PoissonKernel::evaluate(x[k], mu[k], 0.0, 0.0).value);
  }
  CHECK_THROWS_WITH_AS(api::log_probability("binomial", x, mu, theta, pi),
                       R"(reconstruction_loss must be one of "zinb", "nb", "poisson", not "binomial")",
                       InvalidArgument);
}
