// How long the core takes for its jobs, without R, beside the dense matrix products that a training step needs.
//
//   cmake -S . -B build -DRSCVI_BENCH=ON && cmake --build build -j2 --target core_bench
//   build/core_bench [--cells 20000] [--genes 2000] [--density 0.1] [--threads 1] [--repetitions 3] [--epochs 1]
//                    [--job PART] [--device cpu] [--precision single] [--step-graph no]
//
// Counts are made up: each cell has density * genes of the genes on. Architecture: one hidden layer of 128 units, 10
// latent dimensions, ZINB, minibatches of 128. Jobs take turns, and each line is the median of its repetitions. --job:
// those with that part in their name alone. --epochs: of each training, of which the time of one epoch and the cells a
// second are told. --device cuda, to hold against bench/gpu_pytorch.py: give it as many epochs, as the counts are sent
// there once a training; --step-graph yes repeats steps as CUDA graphs. Untested on a GPU.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>
#include <string>

#include "core/data/cell_source.h"
#include "core/model/make_model.h"
#include "core/posterior/expression.h"
#include "core/posterior/latent.h"
#include "core/posterior/likelihood.h"
#include "core/training/trainer.h"

using namespace rscvi;

namespace {

const std::string training_job = "training epoch";

struct Settings {
  std::int64_t cells = 20000, genes = 2000, threads = 1, repetitions = 3, epochs = 1;
  double density = 0.1;
  std::string job, device = "cpu", precision = "single", step_graph = "no";
};

Settings parse(int argc, char** argv) {
  Settings settings;
  for (int k = 1; k < argc; ++k) {
    const std::string name = argv[k];
    const std::map<std::string, std::int64_t*> whole = {{"--cells", &settings.cells},
                                                        {"--genes", &settings.genes},
                                                        {"--threads", &settings.threads},
                                                        {"--repetitions", &settings.repetitions},
                                                        {"--epochs", &settings.epochs}};
    const std::map<std::string, std::string*> words = {
        {"--job", &settings.job},
        {"--device", &settings.device},
        {"--precision", &settings.precision},
        {"--step-graph", &settings.step_graph}};
    if (k + 1 == argc || (whole.count(name) == 0 && words.count(name) == 0 && name != "--density")) {
      throw std::invalid_argument("unknown option or no value: " + name);
    }
    const std::string value = argv[++k];
    if (name == "--density") settings.density = std::stod(value);
    else if (words.count(name) > 0) *words.at(name) = value;
    else *whole.at(name) = std::stoll(value);
  }
  return settings;
}

// Arrays of a genes x cells column-compressed matrix.
struct Counts {
  std::vector<std::int32_t> p = {0}, i;
  std::vector<double> x;
};

Counts make_counts(const Settings& settings) {
  std::mt19937_64 engine(1);
  std::bernoulli_distribution on(settings.density);
  std::geometric_distribution<int> extra(0.5);
  Counts counts;
  for (std::int64_t cell = 0; cell < settings.cells; ++cell) {
    for (std::int64_t gene = 0; gene < settings.genes; ++gene) {
      if (gene != cell % settings.genes && !on(engine)) continue;  // no cell is empty
      counts.i.push_back(static_cast<std::int32_t>(gene));
      counts.x.push_back(1 + extra(engine));
    }
    counts.p.push_back(static_cast<std::int32_t>(counts.i.size()));
  }
  return counts;
}

std::shared_ptr<Dataset> make_dataset(const Counts& counts, const Settings& settings) {
  auto dataset = std::make_shared<Dataset>();
  dataset->counts = std::make_shared<CompressedCells>(counts.p.data(), counts.i.data(), counts.x.data(), settings.genes,
                                                      settings.cells);
  dataset->batch.assign(settings.cells, 0);
  dataset->label.assign(settings.cells, 0);
  dataset->local_mean.assign(settings.cells, 6);
  dataset->local_var.assign(settings.cells, 0.1F);
  return dataset;
}

class Silent final : public Monitor {
 public:
  void on_epoch(const EpochReport&) override {}
  bool should_stop() override { return false; }
};

// The ten dense products of a step as autograd needs them, for all minibatches of an epoch: two encoders' first layers
// (forward, weight), two heads of the decoder (forward, weight, input).
void dense_products(const Settings& settings, c10::Device device) {
  constexpr std::int64_t minibatch = 128, n_hidden = 128;
  const auto options = at::TensorOptions(at::kFloat).device(device);
  const at::Tensor x = at::ones({minibatch, settings.genes}, options), h = at::ones({minibatch, n_hidden}, options);
  const at::Tensor in = at::ones({n_hidden, settings.genes}, options);
  const at::Tensor out = at::ones({settings.genes, n_hidden}, options);
  for (std::int64_t start = 0; start < settings.cells; start += minibatch) {
    for (int twice = 0; twice < 2; ++twice) {
      at::mm(x, in.t());   // an encoder: forward
      at::mm(h.t(), x);    //             gradient of the weight
      at::mm(h, out.t());  // a head: forward
      at::mm(x.t(), h);    //         gradient of the weight
      at::mm(x, out);      //         gradient of the input
    }
  }
}

double seconds(const std::function<void()>& job, c10::Device device) {
  const auto start = std::chrono::steady_clock::now();
  job();
  at::zeros({1}, at::TensorOptions().device(device)).item<float>();  // waits for the device
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = parse(argc, argv);
  at::set_num_threads(static_cast<int>(settings.threads));
  const c10::Device device(settings.device);
  const Counts counts = make_counts(settings);
  const std::shared_ptr<Dataset> dataset = make_dataset(counts, settings);

  VaeOptions options;
  options.n_input = settings.genes;
  RandomStream random(1);
  Vae model = make_model(options, random);
  model->to(device);
  Posterior all;
  all.model = model;
  all.dataset = dataset;
  for (std::int64_t cell = 0; cell < settings.cells; ++cell) all.cells.push_back(cell);
  Posterior thousand = all;
  thousand.cells.resize(std::min<std::int64_t>(1000, settings.cells));

  TrainOptions training;
  training.precision = parse_precision(settings.precision);
  if (settings.step_graph != "yes" && settings.step_graph != "no") {
    throw std::invalid_argument("--step-graph must be yes or no, not " + settings.step_graph);
  }
  training.step_graph = settings.step_graph == "yes";
  training.n_epochs = settings.epochs;
  SampleScaleOptions scale;
  double sum = 0;  // so that nothing is left out as unused
  std::vector<std::pair<std::string, std::function<void()>>> jobs = {
      {"dense products of an epoch", [&] { dense_products(settings, device); }},
      {training_job,
       [&] {
         Silent monitor;
         train(model, dataset, all.cells, training, random, monitor);
       }},
      {"elbo", [&] { sum += mean_loss_terms(all, Noise(), random).negative_elbo(); }},
      {"get_latent", [&] { sum += latent(all, true, 1, Noise(), random).sum().item<double>(); }},
      {"get_sample_scale",
       [&] {
         sample_scale(all, scale, Noise(), random,
                      [&](const BlockPlace&, const at::Tensor& block) { sum += block.numel() > 0 ? 1 : 0; });
       }},
      {"marginal_ll(100), 1,000 cells", [&] { sum += negative_marginal_ll(thousand, 100, Noise(), random); }}};

  const auto unwanted = [&](const auto& job) { return job.first.find(settings.job) == std::string::npos; };
  jobs.erase(std::remove_if(jobs.begin(), jobs.end(), unwanted), jobs.end());

  std::map<std::string, std::vector<double>> times;
  for (std::int64_t k = 0; k <= settings.repetitions; ++k) {
    for (const auto& job : jobs) {
      const double n_times = job.first == training_job ? static_cast<double>(training.n_epochs) : 1;
      const double t = seconds(job.second, device) / n_times;
      if (k > 0) times[job.first].push_back(t);  // the first round warms up
    }
  }
  std::printf("%lld cells x %lld genes, density %.2f, %lld threads, %s\n", static_cast<long long>(settings.cells),
              static_cast<long long>(settings.genes), settings.density, static_cast<long long>(settings.threads),
              settings.device.c_str());
  for (const auto& job : jobs) std::printf("%-32s %8.3f s\n", job.first.c_str(), median(times[job.first]));
  if (times.count(training_job) > 0) {
    std::printf("%-32s %8.0f cells/s\n", "training", static_cast<double>(settings.cells) / median(times[training_job]));
  }
  std::printf("checksum %g\n", sum);
  return 0;
}
