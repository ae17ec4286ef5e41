// The effects of sessions, one overload each.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/words.h"
#include "common/net/endpoint.h"
#include "peer/io/peer_shell_impl.h"

namespace mdgan {

// --- effects: talk ----------------------------------------------------------

void PeerShell::Impl::apply(PeerRuntime& s, const SayHello&) {
  if (s.offer) {
    say_hello(s);
    return;
  }
  if (std::exchange(s.finding_offer, true)) return;
  const bool first = !std::exchange(s.has_looked, true);
  s.files.run(
      [this, &s, first] {
        return [this, &s, offer = s.saved().offers(),
                warning = first ? s.saved().warning_of_many_runs() : ""] {
          s.finding_offer = false;
          s.offer = offer;
          if (!warning.empty()) apply(s, Report{warning, true});
          if (s.session.next_deadline()) say_hello(s);  // it still greets
        };
      },
      [this, &s](const Error& error) {
        s.finding_offer = false;
        apply(s, Report{"cannot look for its checkpoints: " + error.message,
                        true});
      });
}

void PeerShell::Impl::say_hello(PeerRuntime& s) {
  protocol::Message message;
  protocol::Hello hello = s.hello(announced);
  tell_classes(*data, s.peer().shard, options.tell_classes, hello);
  if (takes_long_frames(options.server))
    hello.abilities.emplace_back(protocol::kLongFrames);
  message.body = std::move(hello);
  (void)server->send(message);  // repeated until there is a welcome
}

void PeerShell::Impl::apply(PeerRuntime&, const SayToServer& e) {
  (void)server->send(e.message);  // lost with the connection: it says hello
}

void PeerShell::Impl::apply(PeerRuntime& s, const SendFeedback& e) {
  protocol::Message message = e.message;
  auto& body = std::get<protocol::Feedback>(message.body);
  const ComputedFeedback computed = *std::exchange(s.computed, std::nullopt);
  body.discriminator_loss = computed.discriminator_loss;
  body.generator_loss = computed.generator_loss;
  body.seconds = computed.seconds;
  s.answer_seconds = computed.seconds;
  for (const Blob& tensor : computed.tensors)
    body.tensors.push_back(tensor.meta);
  TensorFrames frames(computed.tensors);
  (void)server->send(message, &frames);
}

void PeerShell::Impl::apply(PeerRuntime& s, const SendTransfer& e) {
  const bool with_optimizer = spec->swap_optimizer;
  s.training.run(
      [this, &s, e, with_optimizer] {
        const PeerState state = s.packed(with_optimizer);
        return [this, &s, e, state] { send_transfer(s, e, state); };
      },
      trainer_failure(s));
}

std::vector<Blob> PeerShell::Impl::complete_transfer(protocol::Message& message,
                                                     const PeerState& state) {
  auto& body = std::get<protocol::Transfer>(message.body);
  body.adam_steps = state.adam_steps;
  std::vector<Blob> tensors{state.parameters};
  if (!state.first_moment.empty()) {
    tensors.push_back(state.first_moment);
    tensors.push_back(state.second_moment);
  }
  for (const Blob& tensor : tensors) body.tensors.push_back(tensor.meta);
  return tensors;
}

void PeerShell::Impl::send_transfer(PeerRuntime& s, SendTransfer e,
                                    const PeerState& state) {
  const std::vector<Blob> tensors = complete_transfer(e.message, state);
  const auto& body = std::get<protocol::Transfer>(e.message.body);
  if (by_peer(e.target) != nullptr) {  // a peer of this very process
    on_transfer(e.message, tensors, own_key());
    return;
  }
  if (options.keys && e.key == PublicKey{}) {
    feed(s, TransferFailed{body.swap, "the server names no key of peer " +
                                          std::to_string(e.target.value)});
    return;
  }
  const std::string endpoint = reachable(e.endpoint);
  TensorFrames frames(tensors);
  const PublicKey key = options.keys ? e.key : PublicKey{};
  if (const auto sent = links.send(endpoint, body.swap, e.message, frames, key);
      !sent)
    feed(s, TransferFailed{body.swap, sent.error().message});
}

// '*' as a host means the server's host: the server itself hosts that peer.
std::string PeerShell::Impl::reachable(const std::string& endpoint) const {
  auto parsed = parse_endpoint(endpoint, "endpoint");
  if (!parsed || parsed->host != "*") return endpoint;
  const auto home = parse_endpoint(options.server, "server");
  parsed->host = home ? home->host : "127.0.0.1";
  return parsed->text();
}

void PeerShell::Impl::apply(PeerRuntime& s, const Report& e) {
  if (e.warning)
    spdlog::warn("peer {}: {}", s.peer().name, e.text);
  else if (options.verbose)
    spdlog::info("peer {}: {}", s.peer().name, e.text);
}

void PeerShell::Impl::apply(PeerRuntime& s, const Leave& e) {
  if (e.code != ExitCode::kOk && report.code == ExitCode::kOk) {
    report.code = e.code;
    report.text = e.text;
  }
  if (options.verbose && (e.code == ExitCode::kOk || sessions.size() > 1))
    spdlog::info("peer {} leaves after {}: {}", s.peer().name,
                 plural(s.session.counters().rounds, "round"), e.text);
}

// --- effects: compute -------------------------------------------------------

void PeerShell::Impl::apply(PeerRuntime& s, const PrepareTrainer& e) {
  spec = e.welcome.spec;
  codecs = e.codecs;
  parameters = e.welcome.parameters;
  s.trainer_ready = false;
  if (options.verbose)
    spdlog::info("peer {} is welcome as peer {}: {}, {} parameters, {} loss",
                 s.peer().name, e.peer.value, spec->model, e.welcome.parameters,
                 name_of(kLossNames, spec->loss));
  s.training.run(
      [this, &s, e] {
        const std::optional<Error> error =
            s.prepare(e.peer, e.welcome, e.codecs);
        return [this, &s, error, privacy = s.trainer_privacy()] {
          note_privacy(s, privacy);
          s.trainer_ready = !error;
          s.ever_prepared = s.ever_prepared || s.trainer_ready;
          s.offer.reset();
          feed(s, TrainerPrepared{error});
          for (IncomingTransfer& transfer : std::exchange(s.early, {}))
            if (s.trainer_ready) admit_transfer(s, std::move(transfer));
        };
      },
      trainer_failure(s));
}

void PeerShell::Impl::apply(PeerRuntime& s, const InitialiseDiscriminator&) {
  s.training.run_unawaited([&s] { s.initialise(); }, trainer_failure(s));
}

void PeerShell::Impl::apply(PeerRuntime& s, const RestoreDiscriminator& e) {
  const protocol::Held which{s.session.run(), e.round, e.discriminator};
  s.training.run(
      [this, &s, which]() -> Lane::Continuation {
        const auto restored = s.restore(which);
        if (restored) return [this, &s] { feed(s, Restored{}); };
        // Without it the peer would begin afresh, and save over it.
        if (const auto kept = s.saved().may_be_sound(which))
          return [this, &s, kept] { feed(s, Failed{*kept}); };
        return [this, &s, which, why = restored.error().message] {
          s.forget_checkpoint(which);
          feed(s, RestoreFailed{why});
        };
      },
      trainer_failure(s));
}

void PeerShell::Impl::apply(PeerRuntime& s, const Learn& e) {
  const auto batch = batches.find({e.round, e.index});
  if (batch == batches.end()) return;
  s.training.run_unawaited(
      [&s, e, batch = batch->second] { s.learn(e.round, e.steps, batch); },
      trainer_failure(s));
}

void PeerShell::Impl::apply(PeerRuntime& s, const ComputeFeedback& e) {
  const auto batch = batches.find({e.round, e.index});
  if (batch == batches.end()) {
    feed(s, Connected{});  // this peer fell so far behind that it starts anew
    return;
  }
  s.training.run(
      [this, &s, e, batch = batch->second] {
        const ComputedFeedback computed = s.compute_feedback(e.round, batch);
        return [this, &s, e, computed] {
          if (!std::isfinite(computed.discriminator_loss) ||
              !std::isfinite(computed.generator_loss)) {
            feed(s, Failed{{"peer " + s.peer().name +
                                "'s discriminator diverged in round " +
                                std::to_string(e.round.value),
                            ExitCode::kDiverged}});
            return;
          }
          note_privacy(s, computed.privacy);
          s.computed = computed;
          feed(s, FeedbackComputed{e.ask});
        };
      },
      trainer_failure(s));
}

void PeerShell::Impl::note_privacy(PeerRuntime& s,
                                   const std::optional<PrivacySpent>& spent) {
  const std::string before = s.privacy ? s.privacy->refusal : "";
  s.privacy = spent;
  if (!spent || spent->refusal.empty() || spent->refusal == before) return;
  apply(s, Report{spent->refusal +
                      "; its discriminator stays as it is and judges on",
                  true});
}

void PeerShell::Impl::apply(PeerRuntime& s, const SaveTransfer& e) {
  s.training.run(
      [this, &s, e]() -> Lane::Continuation {
        return [this, &s, e, of_shard = s.of_shard()] {
          save_transfer(s, e, of_shard);
        };
      },
      trainer_failure(s));
}

void PeerShell::Impl::save_transfer(PeerRuntime& s, const SaveTransfer& e,
                                    const std::vector<NamedBlob>& of_shard) {
  const auto arrival = s.arrivals.find(e.arrival);
  if (arrival == s.arrivals.end()) return;
  s.files.run(
      [this, &s, e, state = arrival->second, of_shard,
       as = protocol::Held{s.session.run(), e.round, e.discriminator}] {
        const auto saved =
            s.saved().save_transfer(as, state, of_shard, e.in_use);
        return [this, &s, e, saved] {
          s.offer.reset();
          // It is in memory: the exchange need not fail for a full disk.
          if (!saved)
            apply(s, Report{"could not save the discriminator that it was "
                            "sent: " +
                                saved.error().message,
                            true});
          feed(s, TransferSaved{e.arrival});
        };
      },
      [this, &s, e](const Error& error) {
        apply(s, Report{"could not save the discriminator that it was sent: " +
                            error.message,
                        true});
        feed(s, TransferSaved{e.arrival});
      });
}

void PeerShell::Impl::apply(PeerRuntime& s, const Install& e) {
  auto node = s.arrivals.extract(e.arrival);
  if (node.empty()) return;
  s.training.run(
      [this, &s, state = std::move(node.mapped())]() -> Lane::Continuation {
        const auto loaded = s.load(state);
        if (loaded) return {};
        return [this, &s, why = loaded.error().message] {
          apply(s, Report{"keeps its discriminator: " + why, true});
        };
      },
      trainer_failure(s));
}

void PeerShell::Impl::apply(PeerRuntime& s, const DropTransfer& e) {
  s.arrivals.erase(e.arrival);
}

void PeerShell::Impl::apply(PeerRuntime& s, const SaveDiscriminator& e) {
  const auto ended = [&s, number = ++s.saves](const std::string& why) {
    // One that hung may end after a newer one has failed.
    if (number < s.newest_save) return;
    s.newest_save = number;
    s.not_saved = why;
  };
  const auto failed = [this, &s, ended](const Error& error) {
    ended(error.message);
    apply(s,
          Report{"could not save its discriminator: " + error.message, true});
  };
  s.training.copy_then_write(
      copies, s.files,
      [&s, ended, failed, keep = e.keep,
       as = protocol::Held{s.session.run(), e.round,
                           e.discriminator}]() -> Lane::Work {
        return [&s, ended, failed, write = s.copy_to_save(as, keep)] {
          return [&s, ended, failed, saved = write()] {
            s.offer.reset();
            if (saved)
              ended("");
            else
              failed(saved.error());
          };
        };
      },
      failed);
}

}  // namespace mdgan
