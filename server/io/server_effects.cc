// The effects of ServerShell that train, draw, save and report.

#include <spdlog/spdlog.h>

#include <cstdio>
#include <utility>

#include "common/files/png.h"
#include "common/tensor/compact.h"
#include "server/io/server_shell_impl.h"

namespace mdgan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kGridImages = 100;
constexpr std::uint32_t kGridColumns = 10;

double seconds(Clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

// --- effects: train ---------------------------------------------------------

void ServerShell::Impl::apply(const DecideModel& e) {
  const GeneratorSpec generator = generator_spec(options, e.image, state.k);
  const DiscriminatorSpec discriminator = discriminator_spec(options, e.image);
  train([this, generator, discriminator]() -> std::function<void()> {
    const auto refuse = [this](const Error& error) {
      return [this, error] { events.emplace_back(ModelRefused{error}); };
    };
    auto made = GeneratorTrainer::create(generator, options.device);
    if (!made) return refuse(made.error());
    const auto summary = summarise_discriminator(discriminator);
    if (!summary) return refuse(summary.error());
    if (!state.generator.empty()) {
      if (const auto loaded = (*made)->load(state.generator); !loaded)
        return refuse(loaded.error());
      state.generator.clear();
    }
    trainer = std::move(*made);
    return [this, discriminator, summary = *summary,
            parameters = trainer->parameter_count()] {
      spec = discriminator;
      spdlog::info(
          "{} for {}x{}x{} images: generator {} parameters, discriminator {}",
          discriminator.model, discriminator.image.channels,
          discriminator.image.height, discriminator.image.width, parameters,
          summary.parameters);
      events.emplace_back(
          ModelReady{discriminator, summary.schema, summary.parameters});
    };
  });
}

void ServerShell::Impl::apply(const GenerateBatches& e) {
  train([this, round = e.round] {
    const auto start = Clock::now();
    std::vector<GeneratedBatch> generated = trainer->generate(round);
    if (options.codecs.image == ImageCodec::kUint8)
      for (GeneratedBatch& batch : generated)
        batch.images = images_to_uint8(batch.images);
    const double took = seconds(Clock::now() - start);
    return [this, round, generated, took] {
      tick.phases().generate += took;
      std::vector<ReadyBatch>& ready = batches[round];
      ready.clear();
      for (const GeneratedBatch& batch : generated) {
        std::vector<Blob> tensors;
        tensors.push_back(batch.images);
        if (!batch.labels.empty()) tensors.push_back(batch.labels);
        ReadyBatch& out = ready.emplace_back();
        for (const Blob& tensor : tensors) out.metas.push_back(tensor.meta);
        out.frames.emplace(tensors);
      }
      events.emplace_back(BatchesReady{round});
    };
  });
}

void ServerShell::Impl::apply(const StepGenerator& e) {
  tick.phases().wait += seconds(Clock::now() - sent_at);
  std::vector<Contribution> contributions;
  for (const Contributor& c : e.contributors) {
    auto node = feedback.extract(c.peer);
    MDGAN_CHECK(!node.empty());
    const std::vector<Blob>& tensors = node.mapped();
    contributions.push_back({c.peer, c.batch, tensors[0],
                             tensors.size() > 2 ? tensors[2] : Blob{}});
  }
  feedback.clear();
  batches.erase(e.round);
  train([this, round = e.round,
         contributions = std::move(contributions)]() -> std::function<void()> {
    const auto stepped = trainer->step(round, contributions);
    if (!stepped)
      return [this, error = stepped.error()] {
        events.emplace_back(GeneratorFailed{error});
      };
    return [this, round, report = *stepped] {
      tick.phases().merge += report.merge_seconds;
      tick.phases().step += report.step_seconds;
      tick.set_norm(report.feedback_norm);
      events.emplace_back(GeneratorStepped{round});
    };
  });
}

// --- effects: files and statistics ------------------------------------------

void ServerShell::Impl::apply(const ReportRound& e) {
  const std::uint64_t round = e.round.value;
  tick.add_round(round, e.discriminator_loss, e.generator_loss);
  if (round % options.stats_every == 0) end_tick();
  if (round == options.rounds ||
      (options.samples_every > 0 && round % options.samples_every == 0))
    draw_samples(e.round);
  if (evaluator != nullptr &&
      (round == options.rounds || round % options.evaluate_every == 0))
    evaluate(e.round);
}

void ServerShell::Impl::end_tick() {
  if (tick.empty()) return;
  StatsRecord record = tick.finish(coordinator.live_peers());
  if (evaluator != nullptr && record.round == options.rounds)
    last_record = std::move(record);
  else
    write_record(std::move(record));
}

void ServerShell::Impl::write_record(StatsRecord record) {
  record.evaluation = std::exchange(evaluation, std::nullopt);
  if (const auto appended = stats->append(to_json(record)); !appended)
    spdlog::warn("{}", appended.error().message);
  progress->tick(record);
}

void ServerShell::Impl::draw_samples(Round round) {
  write_copy(
      files, picture_copy, "cannot draw the samples", [this, round]() -> Task {
        sampler = trainer->sampler(std::move(sampler));
        return [this, round]() -> std::function<void()> {
          const Blob images = sampler->sample(kGridImages, {}, options.seed);
          char name[32];
          std::snprintf(name, sizeof name, "%06llu.png",
                        static_cast<unsigned long long>(round.value));
          const auto written = write_image_grid(directory.samples() / name,
                                                images, kGridColumns);
          if (written) return {};
          return [why = written.error().message] { spdlog::warn("{}", why); };
        };
      });
}

void ServerShell::Impl::apply(const SaveCheckpoint& e) {
  state.position = coordinator.position();
  const std::string meta = describe_run(state, *spec);
  write_copy(files, checkpoint_copy, "cannot save a checkpoint",
             [this, round = e.round, meta]() -> Task {
               return [this, round, meta,
                       copy = trainer->snapshot()]() -> std::function<void()> {
                 const auto saved = store.save(round, copy, meta);
                 if (saved) return {};
                 return [why = saved.error().message] {
                   spdlog::error(
                       "{}; training goes on, older checkpoints are intact",
                       why);
                 };
               };
             });
}

void ServerShell::Impl::apply(const Note& e) {
  if (e.warning)
    spdlog::warn("{}", e.text);
  else
    spdlog::info("{}", e.text);
}

void ServerShell::Impl::apply(const Finish& e) { finished = e; }

}  // namespace mdgan
