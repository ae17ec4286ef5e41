#include "server/io/server_shell.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <system_error>
#include <utility>

#include "common/base/low_priority.h"
#include "common/base/stop_signal.h"
#include "common/base/time.h"
#include "common/files/hash.h"
#include "protocol/algorithm.h"
#include "server/io/server_shell_impl.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr int kBurst = 1024;
// A peer that hears the goodbye leaves. Closed too early, a connection takes
// with it what its peer has not read.
constexpr auto kDeparture = 3s;

Duration to_duration(Seconds s) {
  return std::chrono::duration_cast<Duration>(s);
}

CoordinatorConfig coordinator_config(const ServerOptions& options,
                                     const RunState& state, KnownData known) {
  CoordinatorConfig config;
  config.run = state.run;
  config.incarnation = state.incarnation;
  config.seed = options.seed;
  config.token_seed = random_number();
  config.k = state.k;
  config.batch = options.batch;
  config.algorithm = options.training.algorithm;
  // Where peers have a generator of their own, they draw the labels.
  if (traits_of(options.training.algorithm).content == RoundContent::kImages)
    config.labels = options.labels;
  config.swap_epochs = options.swap_epochs;
  config.participants = options.participants;
  config.staleness = options.staleness;
  config.rounds = options.rounds;
  config.min_peers = options.min_peers;
  config.quorum = options.quorum;
  config.round_timeout = to_duration(options.round_timeout);
  config.swap_timeout = to_duration(options.swap_timeout);
  config.quorum_timeout = to_duration(options.quorum_timeout);
  config.checkpoint_every = options.checkpoint_every;
  if (options.evaluate_at == EvaluateAt::kPeers)
    config.evaluate_every = options.evaluate_every;
  config.codecs = options.codecs;
  config.image = known.image;
  config.conditional = options.condition != Condition::kNone;
  config.classes = std::move(known.classes);
  return config;
}

}  // namespace

ServerShell::Impl::Impl(zmq::context_t& c, const ServerOptions& o,
                        const RunDirectory& d, RunState s, KnownData known,
                        int stop, ServerArithmetic computes,
                        std::optional<ServerKeys> with_keys)
    : context(c),
      options(o),
      directory(d),
      state(std::move(s)),
      stop_descriptor(stop),
      coordinator(coordinator_config(o, state, std::move(known)),
                  state.position),
      store(d.checkpoints(), o.keep_last, o.keep_every),
      arithmetic(std::move(computes)),
      keys(std::move(with_keys)),
      evaluation_pool(arithmetic.measure || arithmetic.at_peers ? 1 : 0,
                      at_lower_priority(arithmetic.start_thread)),
      evaluations(evaluation_pool, returns),
      file_pool(1, arithmetic.start_thread),
      files(file_pool, returns),
      pool(1, [this] { start_training_thread(); }),
      training(pool, returns) {}

ServerShell::Impl::~Impl() {
  if (keys) keys->zap.remove(kServerDomain);
}

void ServerShell::Impl::start_training_thread() {
  arithmetic.start_thread();
  // With more threads the arithmetic shares its work out itself.
  if (options.threads > 1 || usable_cores() < 2) return;
  try {
    sharer.emplace(arithmetic.start_thread);
    sharer->serve_this_thread();
  } catch (const std::system_error&) {
    // There may be no more threads: training does without, for the same bits.
  }
}

// --- the loop ---------------------------------------------------------------

Result<void> ServerShell::Impl::open() {
  if (auto opened = store.open_for_writing(); !opened) return opened;
  std::string bound = options.bind.value_or(kLocalEndpoint);
  router = make_router(context);
  if (keys) {
    if (auto read = read_enrolment(); !read) return read;
    admit_listed();
  }
  if (options.bind) watch_connections();
  receiver = Receiver([this](const Received& r) { return wants_tensors(r); },
                      guard ? &*guard : nullptr);
  if (auto done = bind_router(*router, bound); !done) return done;
  if (options.bind) {
    endpoint = bound;
    router->bind(kLocalEndpoint);
  }
  return {};
}

Finish ServerShell::Impl::run(RunObserver& told) {
  observer = &told;
  observer->on_endpoint(endpoint);
  observer->on_state(ServerState::kListening);
  if (coordinator.position().completed.value >= options.rounds)
    return {ExitCode::kOk,
            "the run has " +
                std::to_string(coordinator.position().completed.value) +
                " rounds already, and --rounds is " +
                std::to_string(options.rounds) + ": ask for more with it"};
  tick.restart();
  events.emplace_back(Started{});
  handle_events();
  while (!finished) poll();
  end_tick();  // what evaluations still take is not the rounds' time
  while (saves > 0 || coordinator.open_evaluations() > 0) poll();
  say_goodbye();
  while (returns.awaited() > 0) poll();
  observer->on_view(coordinator.view(), Clock::now());
  await_departures();
  router->set(zmq::sockopt::linger, 2000);  // the goodbyes get their moment
  return ending();
}

void ServerShell::Impl::poll() {
  const auto now = Clock::now();
  Clock::duration wait = keys ? kLookAtList : Clock::duration(1s);
  if (const auto due = coordinator.next_deadline())
    wait = std::clamp(*due - now, Clock::duration::zero(), wait);
  zmq::pollitem_t items[] = {
      {router->handle(), 0, ZMQ_POLLIN, 0},
      {nullptr, mailbox.fd(), ZMQ_POLLIN, 0},
      {nullptr, stop_descriptor, ZMQ_POLLIN, 0},
  };
  wait_readable(std::span(items).first(stop_descriptor < 0 ? 2 : 3),
                std::chrono::ceil<std::chrono::milliseconds>(wait));
  if (stop_descriptor >= 0 && items[2].revents != 0) {
    // Once; a second signal ends the process.
    stop(read_stop_signal(std::exchange(stop_descriptor, -1)));
  }
  mailbox.drain();
  handle_events();
  // What has arrived is taken before anything is sent: a dead connection with
  // a full pipe shows itself only to a socket that is received from.
  if (drain()) give_up_closed();
  complaints.flush(Clock::now());
  if (keys) watch_list(Clock::now());
  if (const auto due = coordinator.next_deadline();
      due && *due <= Clock::now()) {
    events.emplace_back(TimePassed{});
    handle_events();
  }
  show_state();
}

bool ServerShell::Impl::drain() {
  if (guard) guard->begin_drain();
  std::optional<Received> received;
  for (int i = 0; i < kBurst; ++i) {
    if (!receiver.take(*router, received)) {
      if (guard) guard->end_drain();
      return true;
    }
    if (!received) continue;
    on_received(std::move(*received));
    handle_events();
  }
  return false;
}

void ServerShell::Impl::await_departures() {
  const TimePoint end = Clock::now() + kDeparture;
  const auto is_member = [](const auto& entry) {
    return entry.second.descriptor >= 0 && entry.second.welcomed;
  };
  while (std::ranges::any_of(connections, is_member) && Clock::now() < end) {
    zmq::pollitem_t items[] = {{nullptr, mailbox.fd(), ZMQ_POLLIN, 0}};
    wait_readable(items, 100ms);
    mailbox.drain();
    std::optional<Received> ignored;
    for (int i = 0; i < kBurst && receiver.take(*router, ignored); ++i) {
    }
    give_up_closed();
  }
}

void ServerShell::Impl::show_state() {
  const ServerState current = server_state(
      coordinator.stage(), coordinator.started(), coordinator.stopping());
  const TimePoint now = Clock::now();
  if (current == shown && now < view_due) return;
  observer->on_view(coordinator.view(), now);
  view_due = now + 1s;
  if (std::exchange(shown, current) != current) observer->on_state(current);
}

void ServerShell::Impl::stop(ExitCode code) {
  // The last checkpoint does not wait behind evaluations that take minutes.
  evaluation_copies.close();
  events.emplace_back(StopRequested{code});
}

void ServerShell::Impl::handle_events() {
  std::vector<ServerEffect> effects;
  while (!events.empty()) {
    const ServerEvent event = std::move(events.front());
    events.pop_front();
    effects.clear();
    coordinator.handle(event, Clock::now(), effects);
    for (const ServerEffect& effect : effects)
      std::visit([&](const auto& e) { apply(e); }, effect);
  }
}

void ServerShell::Impl::train(Lane::Work work) {
  training.run(std::move(work), [this](const Error& error) {
    events.emplace_back(GeneratorFailed{
        {"the generator cannot go on: " + error.message, error.code}});
  });
}

void ServerShell::Impl::write_copy(Lane& writer, Permits& permits,
                                   const char* action,
                                   std::function<Lane::Work()> copy) {
  training.copy_then_write(
      permits, writer, std::move(copy),
      [action](const Error& error) {
        spdlog::error("{}: {}", action, error.message);
      },
      [action] { spdlog::info("{}: the run ends", action); });
}

// --- the face ---------------------------------------------------------------

ServerShell::ServerShell(zmq::context_t& context, const ServerOptions& options,
                         const RunDirectory& directory, RunState state,
                         KnownData known, int stop_descriptor,
                         ServerArithmetic arithmetic,
                         std::optional<ServerKeys> keys)
    : impl_(std::make_unique<Impl>(
          context, options, directory, std::move(state), std::move(known),
          stop_descriptor, std::move(arithmetic), std::move(keys))) {}

ServerShell::~ServerShell() = default;

Result<void> ServerShell::open() { return impl_->open(); }

const std::string& ServerShell::endpoint() const { return impl_->endpoint; }

Finish ServerShell::run(RunObserver& observer,
                        std::function<Result<void>()> begin) {
  impl_->begin = std::move(begin);
  return impl_->run(observer);
}

void ServerShell::request_stop(ExitCode code, const std::string& why) {
  impl_->mailbox.post([this, code, why] {
    // What comes of the run's end is not the reason for it.
    if (!impl_->outcome && !impl_->finished) impl_->outcome = Finish{code, why};
    impl_->stop(ExitCode::kOk);
  });
}

}  // namespace mdgan
