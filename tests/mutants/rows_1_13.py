from mutant import Mutant

MUTANTS = [
    # --- row 1 ---
    Mutant(
        row=1,
        removes="a peer whose connection is lost still counts as there",
        file="server/core/coordinator.cc",
        before="""  lose(peers, "connection lost", now, out);""",
        after="""  if (false) lose(peers, "connection lost", now, out);""",
        tests=["Peers whose process is killed are missed and come back"],
    ),
    Mutant(
        row=1,
        removes="a run that has begun pauses as soon as one peer is gone",
        file="server/core/coordinator.cc",
        before="""  const double quorum = std::ceil(config_.quorum * config_.min_peers);""",
        after="""  const double quorum = static_cast<double>(config_.min_peers);""",
        tests=[
            "a killed peer does not stop the run, and comes back by its name"],
    ),
    # --- row 2 ---
    Mutant(
        row=2,
        removes="what has come of a message is kept when its connection is gone",
        file="common/net/receiver.cc",
        before="""  if (open == unfinished_.end()) return;""",
        after="""  if (open == unfinished_.end() || open->second.kept) return;""",
        tests=["fault 2: what has come of a message goes with its connection"],
    ),
    Mutant(
        row=2,
        removes="a peer that dies in a round is not counted as missing in it",
        file="server/core/coordinator_members.cc",
        before="""      if (round.lose(id)) ++member.missed;""",
        after="""      (void)round.lose(id);""",
        tests=["fault 2: of a peer killed in mid-feedback nothing is used"],
    ),
    # --- row 3 ---
    Mutant(
        row=3,
        removes="a run that gives up for lack of peers saves nothing",
        file="server/core/coordinator_run.cc",
        before="""  save(now, out);
  std::string diverged;""",
        after="""  if (false) save(now, out);
  std::string diverged;""",
        tests=["below the quorum for too long the run saves, peers too, and "
               "ends 8"],
    ),
    Mutant(
        row=3,
        removes="a run that lacks peers waits far beyond --quorum-timeout",
        file="server/core/coordinator_rounds.cc",
        before="""      wait_deadline_ = now + config_.quorum_timeout;""",
        after="""      wait_deadline_ = now + 1000 * config_.quorum_timeout;""",
        tests=["below the quorum for too long the run saves, peers too, and "
               "ends 8"],
    ),
    Mutant(
        row=3,
        removes="a run below its quorum goes on with a single peer",
        file="server/core/coordinator.cc",
        before="""  return std::max(1U, static_cast<std::uint32_t>(quorum));""",
        after="""  return quorum < 0 ? 0U : 1U;""",
        tests=["status.json follows a run: waiting, training, paused, "
               "stopped"],
    ),
    Mutant(
        row=3,
        removes="a resumed run that lacks one peer never begins",
        file="server/core/coordinator.cc",
        before="""    quorum_will_do_ = true;""",
        after="""    quorum_will_do_ = false;""",
        tests=["fault 3: a resumed run that lacks a peer begins with the "
               "quorum"],
    ),
    # --- row 4 ---
    Mutant(
        row=4,
        removes="what came in a swap that was given up is installed",
        file="peer/core/session_welcome.cc",
        before="""    case protocol::Start::kKeep:
      break;""",
        after="""    case protocol::Start::kKeep:
      if (staged_) install_staged(out);
      break;""",
        tests=["fault 4, fault 5: what was staged is used or dropped as the "
               "next welcome says"],
    ),
    Mutant(
        row=4,
        removes="a swap that does not come through never ends",
        file="server/core/coordinator.cc",
        before="""  while (!exchange_ends_.empty() && exchange_ends_.begin()->first <= now) {""",
        after="""  while (false && !exchange_ends_.empty() &&
         exchange_ends_.begin()->first <= now) {""",
        tests=["training ends despite broken connections and killed peers",
               "Simulated faults: 2,000 seeds"],
    ),
    # --- row 5 ---
    Mutant(
        row=5,
        removes="a peer throws away what it staged when the next swap comes",
        file="peer/core/session.cc",
        before="""  return staged_ && staged_->told && state_ != State::kPreparing;""",
        after="""  return false && staged_ && staged_->told && state_ != State::kPreparing;""",
        tests=["fault 5: who is to exchange again, and has not heard how the "
               "last exchange ended, asks first"],
    ),
    Mutant(
        row=5,
        removes="the server is told of a discriminator that is on no disk yet",
        file="peer/core/session_swap.cc",
        before="""  out.emplace_back(SaveTransfer{e.arrival, staged_->round,
                                staged_->discriminator, discriminator_});""",
        after="""  out.emplace_back(SaveTransfer{e.arrival, staged_->round,
                                staged_->discriminator, discriminator_});
  on(TransferSaved{e.arrival}, {}, out);""",
        tests=["a discriminator is installed on commit only, and from the "
               "right peer"],
    ),
    Mutant(
        row=5,
        removes="what a swap brought is on no disk",
        file="peer/io/peer_effects.cc",
        before="""            s.saved().save_transfer(as, state, of_shard, e.in_use);""",
        after="""            Result<void>{};""",
        tests=["fault 5: a peer killed where it saves what a swap brought loses "
               "none"],
    ),
    Mutant(
        row=5,
        removes="who missed the commit keeps what is another peer's now",
        file="server/core/start_choice.cc",
        before="""    if (holds && own(hello.held))""",
        after="""    if (holds)""",
        tests=["fault 5: who misses the commit has its new one by the next "
               "hello"],
    ),
    Mutant(
        row=5,
        removes="what the server was told of is dropped with the connection",
        file="peer/core/session_swap.cc",
        before="""  if (staged_ && !staged_->told) drop_staged(out);""",
        after="""  if (staged_) drop_staged(out);""",
        tests=["fault 4, fault 5: what was staged is used or dropped as the "
               "next welcome says"],
    ),
    # --- row 6 ---
    Mutant(
        row=6,
        removes="a straggler gets the whole of round-timeout in spite of a quorum",
        file="server/core/round_deadline.cc",
        before="""  at_ = std::min(at_, asked_at_ + time);""",
        after="""  (void)time;""",
        tests=["fault 6: stragglers get a multiple of the time of the quorum",
               "fault 6: a frozen peer costs a round once some seconds"],
    ),
    Mutant(
        row=6,
        removes="a peer that owes an answer is asked again in every round",
        file="server/core/coordinator_rounds.cc",
        before="""    if (owes.empty() ||""",
        after="""    if (true || owes.empty() ||""",
        tests=["fault 6: a frozen peer costs a round once some seconds"],
    ),
    Mutant(
        row=6,
        removes="a round that lacks an answer never closes by its deadline",
        file="server/core/coordinator.cc",
        before="""  if (OpenRound* round = collecting(); round && round->deadline.at() <= now) {""",
        after="""  if (OpenRound* round = collecting();
      false && round && round->deadline.at() <= now) {""",
        tests=["fault 6: a frozen peer costs a round once some seconds"],
    ),
    Mutant(
        row=6,
        removes="a round that went on without a peer is not counted as missed",
        file="server/core/coordinator_rounds.cc",
        before="""    ++member.missed;""",
        after="""    member.missed += 0;""",
        tests=["fault 6: a peer that is frozen is waited for once, and comes "
               "back"],
    ),
    # --- row 7 ---
    Mutant(
        row=7,
        removes="no heartbeat is sent, so that a silent connection stays",
        file="common/net/channel.cc",
        before="""  socket.set(opt::heartbeat_ivl, 5'000);""",
        after="""  socket.set(opt::heartbeat_ivl, 0);""",
        tests=["fault 7: a link that goes silent is noticed on both sides, "
               "and heals"],
    ),
    Mutant(
        row=7,
        removes="all peers try to connect at the same times",
        file="peer/io/server_link.cc",
        before="""random_number() % static_cast<std::uint64_t>(wait.count() / 2)""",
        after="""static_cast<std::uint64_t>(wait.count() / 2)""",
        tests=["fault 7: tries to connect come apart, each peer's at its own "
               "time"],
    ),
    Mutant(
        row=7,
        removes="tries to connect do not become fewer, however long they fail",
        file="peer/io/server_link.cc",
        before="""constexpr Duration kLongestWait = 2s;""",
        after="""constexpr Duration kLongestWait = 100ms;""",
        tests=["fault 7: tries to connect come apart, each peer's at its own "
               "time"],
    ),
    # --- row 8 ---
    Mutant(
        row=8,
        removes="a heartbeat is not given the time of a frame on a slow link",
        file="common/net/channel.cc",
        before="""  socket.set(opt::heartbeat_timeout, 30'000);""",
        after="""  socket.set(opt::heartbeat_timeout, 2'000);""",
        tests=["fault 8: a discriminator gets through a link of 1 Mb/s"],
    ),
    Mutant(
        row=8,
        removes="the first swap is given up after a second, however slow the link",
        file="server/core/coordinator.cc",
        before="""constexpr Duration kFirstSwap = 10s;""",
        after="""constexpr Duration kFirstSwap = 1s;""",
        tests=["fault 8: a discriminator gets through a link of 1 Mb/s"],
    ),
    # --- row 9 ---
    Mutant(
        row=9,
        removes="the second of two peers with one name takes the first's place",
        file="server/core/coordinator_members.cc",
        before="""  } else if (member.nonce == hello.nonce) {""",
        after="""  } else if (true || member.nonce == hello.nonce) {""",
        tests=["another process with a live peer's name is refused"],
    ),
    Mutant(
        row=9,
        removes="a name of the run is taken from the holder of another key",
        file="server/core/coordinator.cc",
        before="""  if (its == position_.keys.end() || its->second == key) return true;""",
        after="""  if (true || its == position_.keys.end() || its->second == key) return true;""",
        tests=["fault 9: a name of the run that comes with another key is "
               "refused"],
    ),
    Mutant(
        row=9,
        removes="a peer with a key may call itself by any name",
        file="server/io/server_admission.cc",
        before="""  if (may_be_called(*name, hello.name, most)) return "";""",
        after="""  if (true || may_be_called(*name, hello.name, most)) return "";""",
        tests=["fault 9: a peer's name is the one of its key"],
    ),
    # --- row 10 ---
    Mutant(
        row=10,
        removes="who begins anew on its connection is told to start as before",
        file="server/core/coordinator_members.cc",
        before="""    if (member.connection == connection && member.held == hello.held &&
        member.saved == hello.saved &&
        member.welcomed_with == discriminator_of(member.id)) {""",
        after="""    if (member.connection == connection) {""",
        tests=["a hello said twice is answered alike, a new one on its own "
               "terms"],
    ),
    Mutant(
        row=10,
        removes="a peer that was started anew does not get its place back",
        file="server/core/coordinator_members.cc",
        before="""  } else if (member.presence == Presence::kAbsent) {""",
        after="""  } else if (member.presence == Presence::kAbsent &&
             (member.nonce == 0 || member.nonce == hello.nonce)) {""",
        tests=[
            "a killed peer does not stop the run, and comes back by its name"],
    ),
    # --- row 11 ---
    Mutant(
        row=11,
        removes="who has answered late is asked nothing more",
        file="server/core/coordinator_rounds.cc",
        before="""    member.owes.erase(asked);""",
        after="""    if (is_expected) member.owes.erase(asked);""",
        tests=["fault 11: who answers an older round is asked in the current "
               "one"],
    ),
    Mutant(
        row=11,
        removes="a late answer is not counted as stale",
        file="server/core/coordinator_rounds.cc",
        before="""      ++counters_.stale_feedback;""",
        after="""      ++counters_.unexpected;""",
        tests=["fault 11: who answers an older round is asked in the current "
               "one"],
    ),
    Mutant(
        row=11,
        removes="an answer to an older round is used in the current one",
        file="server/core/coordinator_rounds.cc",
        before="""  const auto it = rounds_.find(message.round);
  const bool is_expected =""",
        after="""  auto it = rounds_.find(message.round);
  if (it == rounds_.end() && message.round < current())
    it = rounds_.find(current());
  const bool is_expected =""",
        tests=["Feedback that is not an answer changes nothing"],
    ),
    # --- row 12: each test shows a protection of its own ---
    Mutant(
        row=12,
        removes="an answer on a batch that its peer was not given is used",
        file="server/core/open_round.cc",
        before="""  return awaits(peer) && asked.at(peer).generated == generated_batch;""",
        after="""  return awaits(peer) &&
         (true || asked.at(peer).generated == generated_batch);""",
        tests=["Feedback that is not an answer changes nothing"],
    ),
    Mutant(
        row=12,
        removes="who answers nothing but rubbish is never set aside",
        file="server/core/coordinator_rounds.cc",
        before="""          found->second.invalid_score >= kInvalidAttempts * kInvalidScore &&""",
        after="""          false && found->second.invalid_score >= kInvalidAttempts * kInvalidScore &&""",
        tests=["fault 12, fault 17: who answers nothing but rubbish is set "
               "aside"],
    ),
    Mutant(
        row=12,
        removes="a good answer does not end the count of bad ones in a row",
        file="server/core/coordinator_rounds.cc",
        before="""    if (int& score = members_.at(c.peer).invalid_score; score > 0) --score;""",
        after="""    members_.at(c.peer).invalid_score += 0;""",
        tests=["connecting anew starts no count of bad answers anew"],
    ),
    Mutant(
        row=12,
        removes="who is set aside again stays away no longer than before",
        file="server/core/coordinator_aside.cc",
        before="""time *= 2;""",
        after="""time *= 1;""",
        tests=["who is set aside is told for how long, longer each time"],
    ),
    Mutant(
        row=12,
        removes="the process that was set aside is let in again after a minute",
        file="server/core/coordinator_aside.cc",
        before="""  return aside->second == hello.nonce || now < *member.aside_until;""",
        after="""  return now < *member.aside_until;""",
        tests=["the process that was set aside is not let in later either"],
    ),
    Mutant(
        row=12,
        removes="every hello of a peer that is set aside is answered",
        file="server/core/coordinator_aside.cc",
        before="""constexpr Duration kToldEvery = 1s;""",
        after="""constexpr Duration kToldEvery = 0s;""",
        tests=["the hellos of who is set aside cost an answer a second at "
               "most"],
    ),
    Mutant(
        row=12,
        removes="the bad answer of a peer that has left since is not counted",
        file="server/core/coordinator_rounds.cc",
        before="""    if (const auto member = members_.find(peer); member != members_.end())
      member->second.invalid_score += kInvalidScore;""",
        after="""    if (const auto member = members_.find(peer);
        member != members_.end() &&
        member->second.presence != Presence::kAbsent)
      member->second.invalid_score += kInvalidScore;""",
        tests=["who leaves before its bad answer is looked at is set aside, "
               "too"],
    ),
    Mutant(
        row=12,
        removes="every stranger that was set aside is remembered for good",
        file="server/core/coordinator_aside.cc",
        before="""constexpr std::size_t kSuspects = 64;""",
        after="""constexpr std::size_t kSuspects = 1'000'000;""",
        tests=["of strangers that are set aside the last ones are remembered"],
    ),
    Mutant(
        row=12,
        removes="who answers rounds to come is never set aside for it",
        file="server/core/coordinator_rounds.cc",
        before="""  if (message.round > last_asked_) {""",
        after="""  if (false && message.round > last_asked_) {""",
        tests=["fault 12: who answers rounds to come is set aside for the fifth"],
    ),
    # --- row 13 ---
    Mutant(
        row=13,
        removes="the second answer of a peer to one round is taken as well",
        file="server/core/open_round.cc",
        before="""  return it != asked.end() && !it->second.answer;""",
        after="""  return it != asked.end();""",
        tests=["a round expects one answer of each peer, on the batch it was "
               "given"],
    ),
]

# Ready for when FAULTS.md names these tests in these rows (see the report):
#
# Mutant(
#     row=8,
#     removes="chunks that arrive do not keep their swap open",
#     file="server/core/coordinator_relay.cc",
#     before="""  if (stopping_) return;""",
#     after="""  if (stopping_ || true) return;""",
#     tests=["chunks that are taken keep an exchange open up to swap-timeout"],
# ),
# Mutant(
#     row=12,
#     removes="who connects anew has its bad answers forgotten",
#     file="server/core/coordinator_members.cc",
#     before="""  if (position_.set_aside.erase(member.id) > 0) {""",
#     after="""  if (position_.set_aside.erase(member.id) > 0 || true) {""",
#     tests=["connecting anew starts no count of bad answers anew"],
# ),
