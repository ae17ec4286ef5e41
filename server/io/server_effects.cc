// The effects of ServerShell that train, draw, save and report.

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/files/png.h"
#include "protocol/algorithm.h"
#include "server/io/server_shell_impl.h"
#include "server/run/sample_grid.h"

namespace mdgan {
namespace {

constexpr std::uint32_t kGridImages = 100;
constexpr std::uint32_t kGridColumns = 10;

}  // namespace

// --- effects: train ---------------------------------------------------------

void ServerShell::Impl::apply(const DecideModel& e) {
  const GeneratorSpec generator = generator_spec(options, e.image, state.k);
  const TrainingSpec discriminator = training_spec(options, e.image, e.classes);
  train([this, generator, discriminator]() -> Lane::Continuation {
    const auto refuse = [this](const Error& error) {
      return [this, error] { events.emplace_back(ModelRefused{error}); };
    };
    if (arithmetic.at_peers)
      if (auto fits = arithmetic.at_peers->takes(generator.image); !fits)
        return refuse(fits.error());
    auto made = arithmetic.make_trainer(generator, discriminator);
    if (!made) return refuse(made.error());
    if (!state.generator.empty()) {
      if (const auto loaded = made->trainer->load(state.generator); !loaded)
        return refuse(loaded.error());
      state.generator.clear();
    }
    trainer = std::move(made->trainer);
    return [this, discriminator, summary = made->summary,
            of_generator = trainer->generator_parameters(), refuse] {
      if (const auto begun = begin ? begin() : Result<void>(); !begun) {
        refuse(begun.error())();
        return;
      }
      spec = discriminator;
      if (!spec->classes.empty())
        spdlog::info("classes: {}", listed(spec->classes));
      parameters = summary.parameters;
      answer = answer_metas(discriminator, options.codecs, parameters);
      spdlog::info(
          "{}, {} for {}x{}x{} images: the generator has {} parameters, a "
          "peer keeps {}",
          name_of(kTrainingNames, options.training), discriminator.model,
          discriminator.image.channels, discriminator.image.height,
          discriminator.image.width, of_generator, parameters);
      events.emplace_back(
          ModelReady{discriminator, summary.schema, summary.parameters});
    };
  });
}

void ServerShell::Impl::apply(const GenerateBatches& e) {
  train([this, round = e.round, plan = e.plan] {
    const auto start = Clock::now();
    const std::vector<std::vector<Blob>> generated =
        trainer->batches(round, plan.labels);
    MDGAN_CHECK(generated.size() == plan.batches);
    const double took = seconds(Clock::now() - start);
    return [this, round, generated, took] {
      tick.phases().generate += took;
      std::vector<ReadyBatch>& ready = batches[round];
      ready.clear();
      for (const std::vector<Blob>& tensors : generated) {
        ReadyBatch& out = ready.emplace_back();
        out.tensors = tensors;
        for (const Blob& tensor : tensors) out.metas.push_back(tensor.meta);
      }
      events.emplace_back(BatchesReady{round});
    };
  });
}

void ServerShell::Impl::apply(const KeepFeedback& e) {
  feedback[{e.round, e.peer}] = std::move(arrived);
}

void ServerShell::Impl::apply(const StepGenerator& e) {
  tick.phases().wait += seconds(Clock::now() - sent_at);
  std::vector<PeerAnswer> answers;
  for (const Contributor& c : e.contributors) {
    auto node = feedback.extract({e.round, c.peer});
    MDGAN_CHECK(!node.empty());
    answers.push_back(
        {c.peer, c.batch, c.shard_size, std::move(node.mapped())});
  }
  // What was kept for an earlier attempt at the round goes too.
  std::erase_if(feedback,
                [&](const auto& kept) { return kept.first.first == e.round; });
  batches.erase(e.round);
  train([this, round = e.round, steps = e.steps,
         answers = std::move(answers)]() -> std::function<void()> {
    const auto stepped = trainer->step(round, steps, answers);
    if (!stepped)
      return [this, error = stepped.error()] {
        events.emplace_back(GeneratorFailed{error});
      };
    return [this, round, report = *stepped] {
      tick.phases().merge += report.merge_seconds;
      tick.phases().step += report.step_seconds;
      tick.set_norm(report.feedback_norm);
      tick.add_merge(report.not_whole, report.fallbacks);
      tell_fallback(round, report.fallbacks);
      events.emplace_back(GeneratorStepped{round});
    };
  });
}

// Once when it begins and once when it ends: it may last for hours.
void ServerShell::Impl::tell_fallback(Round round, std::uint32_t fallbacks) {
  if ((fallbacks > 0) == falls_back) return;
  falls_back = fallbacks > 0;
  const Aggregation& how = options.aggregation;
  const auto name = name_of(kAggregationRules, how.rule);
  if (falls_back)
    note(fmt::format("round {}: {} of the batches have fewer than the {} "
                     "answers that aggregate = {} needs to bear {} hostile "
                     "peers, and are merged by clip until peers come back",
                     round.value, fallbacks,
                     smallest_group(how.rule, how.parameters.hostile), name,
                     how.parameters.hostile),
         true);
  else
    note(fmt::format("round {}: all batches are merged by "
                     "aggregate = {} again",
                     round.value, name),
         false);
}

// --- effects: files and statistics ------------------------------------------

void ServerShell::Impl::apply(const ReportRound& e) {
  const std::uint64_t round = e.round.value;
  tick.add_rounds(round, e.steps, e.discriminator_loss, e.generator_loss);
  if (passes(round, e.steps, options.stats_every)) end_tick();
  if (round == options.rounds ||
      (options.samples_every > 0 &&
       passes(round, e.steps, options.samples_every)))
    draw_samples(e.round);
  if (arithmetic.measure && (round == options.rounds ||
                             passes(round, e.steps, options.evaluate_every)))
    evaluate(e.round);
}

void ServerShell::Impl::end_tick() {
  if (tick.empty()) return;
  StatsRecord record = tick.finish(coordinator.live_peers());
  record.bytes_swapped = bytes_swapped() - swapped_before;
  record.checkpoints_failed = failed_saves;
  record.answers_refused = coordinator.counters().invalid_feedback;
  swapped_before = bytes_swapped();
  // Nothing leaves the machine.
  if (options.training.standalone)
    record.bytes_sent = record.bytes_sent_apart = record.bytes_received = 0;
  observer->on_tick(record);
}

std::uint64_t ServerShell::Impl::bytes_swapped() const {
  if (!spec) return 0;
  const std::uint64_t value =
      options.codecs.swap == SwapCodec::kBfloat16 ? 2 : 4;
  return coordinator.counters().transfers * parameters * value *
         (spec->swap_optimizer ? 3 : 1);
}

void ServerShell::Impl::draw_samples(Round round) {
  const bool by_class = spec->condition != Condition::kNone &&
                        spec->classes.size() == spec->image.classes;
  const SampleGrid grid =
      sample_grid(kGridColumns, by_class ? spec->classes : ClassNames{});
  write_copy(
      files, picture_copy, "cannot draw the samples",
      [this, round, grid]() -> Lane::Work {
        sampler = trainer->sampler(std::move(sampler));
        return [this, round, grid]() -> std::function<void()> {
          const Blob images = sampler->sample(kGridImages, {}, options.seed);
          char name[32];
          std::snprintf(name, sizeof name, "%06llu.png",
                        static_cast<unsigned long long>(round.value));
          // Somebody may have removed the folder meanwhile.
          std::error_code ignored;  // then the picture cannot be written
          std::filesystem::create_directory(directory.samples(), ignored);
          const auto file = directory.samples() / name;
          const auto written =
              write_image_grid(file, images, grid.columns, grid.names);
          if (written)
            return [this, round, file] { observer->on_pictures(round, file); };
          return [why = written.error().message] { spdlog::warn("{}", why); };
        };
      });
}

void ServerShell::Impl::apply(const SaveCheckpoint& e) {
  state.position = coordinator.position_to_save();
  const std::string meta = describe_run(state, *spec);
  ++saves;
  if (e.round.value == 0) {
    save_before_training(meta);
    return;
  }
  training.copy_then_write(
      checkpoint_copy, files,
      [this, round = e.round, meta]() -> Lane::Work {
        return [this, round, meta,
                copy = trainer->snapshot()]() -> Lane::Continuation {
          observer->before_checkpoint();
          const auto written = save(round, copy, meta);
          return [this, round, written] { saved(round, written); };
        };
      },
      [this, round = e.round](const Error& error) {
        saved(round, Error{"cannot save a checkpoint: " + error.message,
                           ExitCode::kCheckpoint});
      });
}

// The store would make a folder that is gone anew, and nobody would find the
// run.
Result<void> ServerShell::Impl::save(Round round,
                                     std::span<const NamedBlob> tensors,
                                     const std::string& meta) {
  const auto in_place = directory.check_in_place();
  return in_place ? store.save(round, tensors, meta) : in_place;
}

void ServerShell::Impl::saved(Round round, const Result<void>& result) {
  --saves;
  if (!result) ++failed_saves;
  // One that hung may end after a newer one has failed.
  if (round >= newest_save) {
    newest_save = round;
    save_error.reset();
    if (!result) save_error = result.error();
  }
  events.emplace_back(CheckpointSaved{round, result.ok()});
  observer->on_checkpoint(round, result);
}

// Training waits for it: a run of which rounds are known has a checkpoint. A
// disk that takes nothing now is no place to begin.
void ServerShell::Impl::save_before_training(const std::string& meta) {
  const auto done = [this](const Result<void>& written) {
    --saves;
    if (!written) {
      events.emplace_back(GeneratorFailed{written.error()});
      return;
    }
    events.emplace_back(CheckpointSaved{{}, true});
    observer->on_checkpoint({}, written);
  };
  training.run(
      [this, meta, done]() -> Lane::Continuation {
        return [done, written = save({}, trainer->snapshot(), meta)] {
          done(written);
        };
      },
      [done](const Error& error) {
        done(Error{"cannot save a checkpoint: " + error.message,
                   ExitCode::kCheckpoint});
      });
}

void ServerShell::Impl::note(std::string text, bool warning) {
  apply(Note{std::move(text), warning});
}

void ServerShell::Impl::apply(const Note& e) {
  observer->on_note(e, coordinator.position().completed);
}

void ServerShell::Impl::apply(const ReportRefusal& e) {
  const auto connection = connections.find(e.connection);
  observer->on_refused(
      {e.name,
       connection == connections.end() ? "" : connection->second.address,
       e.reason});
}

void ServerShell::Impl::apply(const Finish& e) { finished = e; }

// --- the end ----------------------------------------------------------------

// Whoever reads "complete" or "stopped" takes the state to be on the disk.
Finish ServerShell::Impl::ending() const {
  if (outcome) return *outcome;
  using enum ExitCode;
  const bool tells_success =
      finished->code == kOk || finished->code == kStopped;
  if (!save_error || (!tells_success && finished->code != kBelowQuorum))
    return *finished;
  return {kCheckpoint, finished->text +
                           ", but its last checkpoint is missing (" +
                           save_error->message +
                           "): make room, and start the same command again"};
}

void ServerShell::Impl::say_goodbye() {
  for (SendMessage& e : goodbyes) {
    if (save_error)
      e.message.body = protocol::Goodbye{
          protocol::Reason::kStopped,
          "the server could not save its last checkpoint", /*again=*/true};
    deliver(e.connection, e.message, nullptr);
  }
  handle_events();
}

}  // namespace mdgan
