from mutant import Mutant

# Mutants for rows 28 to 37 of tests/FAULTS.md.
MUTANTS = [
    # --- 28: keys that are not let in, or no more -----------------------------
    Mutant(
        row=28,
        removes="a key that is not listed is let in",
        file="common/net/zap_decision.cc",
        before="""    reply.status = domain->second.refusal;
    reply.text = "the key is not let in";
    return reply;""",
        after="""    reply.status = ZapStatus::kAdmitted;
    reply.text = "OK";
    reply.user = "anybody";
    reply.metadata = property(kKeyProperty, to_z85(key));
    return reply;""",
        tests=[
            "fault 28: ZAP lets in a listed key under its name, nobody else",
            "fault 28: strangers get no byte of a batch, and no D",
        ],
    ),
    Mutant(
        row=28,
        removes="the key of zeros, which stands for none, is let in where it is listed",
        file="common/net/zap_decision.cc",
        before="""  if (domain == domains.end() || key == PublicKey{}) {""",
        after="""  if (domain == domains.end()) {""",
        tests=["fault 28: the key that stands for none lets nobody in"],
    ),
    Mutant(
        row=28,
        removes="a message names another sender than the one whose key was let in",
        file="common/net/receiver.cc",
        before="""  begun.user = property_of(frame, "User-Id");""",
        after="""  begun.user = property_of(frame, "Peer-Address");""",
        tests=["fault 28: a message tells the key and the name of its sender"],
    ),
    Mutant(
        row=28,
        removes="who is revoked is not told so",
        file="server/core/coordinator.cc",
        before="""  refuse(e.connection, {}, protocol::ErrorCode::kUnauthorised, e.reason, out);""",
        after="""  if (false)
    refuse(e.connection, {}, protocol::ErrorCode::kUnauthorised, e.reason, out);""",
        tests=[
            "fault 28: who is revoked is told so and is not in the run",
            "fault 28: only listed keys take part, and a revoked one leaves",
        ],
    ),
    Mutant(
        row=28,
        removes="a peer whose key was revoked stays in the run",
        file="server/core/coordinator.cc",
        before="""  lose(peers, "is let in no more: " + e.reason, now, out);""",
        after="""  if (false) lose(peers, "is let in no more: " + e.reason, now, out);""",
        tests=["fault 28: who is revoked is told so and is not in the run"],
    ),
    Mutant(
        row=28,
        removes="a key that is taken out of the list stays let in where it is connected",
        file="server/io/server_admission.cc",
        before="""    if (name != nullptr && *name == connection.user) continue;""",
        after="""    if (true || (name != nullptr && *name == connection.user)) continue;""",
        tests=["fault 28: who is revoked and does not go is cut off"],
    ),
    Mutant(
        row=28,
        removes="who is revoked and does not go keeps its connection",
        file="server/io/server_admission.cc",
        before="""    if (connection != connections.end() && guard)""",
        after="""    if (false && connection != connections.end() && guard)""",
        tests=["fault 28: who is revoked and does not go is cut off"],
    ),
    Mutant(
        row=28,
        removes="a peer that is let in no more does not end",
        file="peer/core/session_welcome.cc",
        before="""      leave(ExitCode::kAuthentication, "refused by the server: " + error.text,
            out);""",
        after="""      out.emplace_back(Report{"refused by the server: " + error.text, true});""",
        tests=["fault 28: a peer that is let in no more ends with 4"],
    ),
    Mutant(
        row=28,
        removes="a listener lets in a key after its exchange has ended, too",
        file="peer/io/peer_listener.cc",
        before="""    options.zap->withdraw(kPeersDomain, key);""",
        after="""    if (false) options.zap->withdraw(kPeersDomain, key);""",
        tests=["fault 28: a key is let in at a listener for one exchange"],
    ),
    Mutant(
        row=28,
        removes="the key of an exchange that was aborted is awaited still",
        file="peer/core/session_swap.cc",
        before="""    swap_.reset();
    drop_staged(out);""",
        after="""    drop_staged(out);""",
        tests=["a key is awaited from its exchange's beginning to its end"],
    ),
    Mutant(
        row=28,
        removes="a peer exchanges with others than those of its --known-peers, too",
        file="peer/peer_keys.cc",
        before="""    if (key == own || known.name_of(key) != nullptr) return std::string();""",
        after="""    if (true || key == own || known.name_of(key) != nullptr)
      return std::string();""",
        # Waits two minutes for an exchange that is refused.
        tests=["a peer exchanges with those of its --known-peers alone"],
    ),
    # --- 29: keys that do not fit ---------------------------------------------
    Mutant(
        row=29,
        removes="a peer without a key is not told that the server asks for one",
        file="common/net/handshake.cc",
        before="""  if (failures.mechanism == "CURVE" && !failures.has_keys)""",
        after="""  if (false && failures.mechanism == "CURVE" && !failures.has_keys)""",
        tests=["fault 29: why a handshake fails is said once it is certain"],
    ),
    Mutant(
        row=29,
        removes="a peer with a key is not told that the server has none",
        file="common/net/handshake.cc",
        before="""  if (failures.mechanism != "CURVE" && failures.has_keys)""",
        after="""  if (false && failures.mechanism != "CURVE" && failures.has_keys)""",
        tests=["fault 29: why a handshake fails is said once it is certain"],
    ),
    Mutant(
        row=29,
        removes="a wrong --server-key is never given as the reason",
        file="common/net/handshake.cc",
        before="""  if (failures.mechanism == "CURVE" && failures.in_a_row >= kEnough)""",
        after="""  if (false && failures.mechanism == "CURVE" && failures.in_a_row >= kEnough)""",
        tests=["fault 29: why a handshake fails is said once it is certain"],
    ),
    Mutant(
        row=29,
        removes="a peer gives up at once when a server that just starts breaks off",
        file="common/net/handshake.cc",
        before="""constexpr std::uint64_t kEnough = 3;""",
        after="""constexpr std::uint64_t kEnough = 1;""",
        tests=["fault 29: why a handshake fails is said once it is certain"],
    ),
    Mutant(
        row=29,
        removes="what a server's greeting says of its keys is misread",
        file="common/net/handshake.cc",
        before="""  return mechanism.substr(0, mechanism.find('\\0'));""",
        after="""  return mechanism;""",
        tests=["fault 29: a server's greeting tells whether it has keys"],
    ),
    Mutant(
        row=29,
        removes="a peer with a key does without where the server has none",
        file="peer/io/server_link.cc",
        before="""    failures_.mechanism = *probe_->mechanism;""",
        after="""    failures_.mechanism = *probe_->mechanism;
    if (failures_.mechanism == "NULL") {
      const_cast<std::optional<ClientKeys>&>(keys_).reset();
      failures_.has_keys = false;
    }""",
        tests=["fault 29: keys that do not fit end a peer with 4 and the reason"],
    ),
    # --- 30: strangers at the port --------------------------------------------
    Mutant(
        row=30,
        removes="a handshake that does not come is waited for much longer",
        file="common/net/channel.cc",
        before="""  socket.set(opt::handshake_ivl, 10'000);""",
        after="""  socket.set(opt::handshake_ivl, 100'000);""",
        # Takes 100 s: the test itself waits for a minute.
        tests=["fault 30: a handshake that does not come is not waited for"],
    ),
    Mutant(
        row=30,
        removes="strangers beyond the number that may be there stay",
        file="common/net/connection_guard.cc",
        before="""    if (!too_long && strangers.size() - i <= limits_.strangers) return;""",
        after="""    if (!too_long) return;""",
        # ZeroMQ's heartbeat ends them after 35 s, and nobody has cut them.
        tests=["fault 30: who connects and says nothing is told to go"],
    ),
    Mutant(
        row=30,
        removes="a stranger may stay without a word for as long as it likes",
        file="common/net/connection_guard.cc",
        before="""    const bool too_long = limits_.patience && now - since > *limits_.patience;""",
        after="""    const bool too_long =
        false && limits_.patience && now - since > *limits_.patience;""",
        tests=["fault 30: a stranger's patience is bounded"],
    ),
    Mutant(
        row=30,
        removes="each peer that comes or goes is a line of the log",
        file="server/core/note_limit.h",
        before="""    const bool allowed = told_ < most_;""",
        after="""    const bool allowed = true || told_ < most_;""",
        tests=["fault 30: who comes and goes at will does not fill the log"],
    ),
    Mutant(
        row=30,
        removes="a connection brings as many new names at a time as it likes",
        file="server/core/coordinator_members.cc",
        before="""constexpr std::size_t kNewcomersAtOnce = 64;""",
        after="""constexpr std::size_t kNewcomersAtOnce = 64'000'000;""",
        tests=[
            "a connection brings so many new names at a time while a run trains",
            "a key brings so many new names at a time, however it connects",
        ],
    ),
    Mutant(
        row=30,
        removes="who connects anew with its key is taken for somebody else",
        file="server/core/hello_limit.h",
        before="""  return {key, key == PublicKey{} ? connection : ConnectionId{}};""",
        after="""  return {key, connection};""",
        tests=[
            "a key brings so many new names at a time, however it connects",
            "hellos beyond what any process needs are not handled",
        ],
    ),
    Mutant(
        row=30,
        removes="every hello is handled, however many come",
        file="server/core/hello_limit.h",
        before="""    if (budget.hellos < 1) return false;""",
        after="""    if (false && budget.hellos < 1) return false;""",
        tests=["hellos beyond what any process needs are not handled"],
    ),
    Mutant(
        row=30,
        removes="a peer begins anew as often as it likes",
        file="server/core/coordinator_members.cc",
        before="""  return !started_ || rejoin_limit_.allows(member.id, now);""",
        after="""  return true || !started_ || rejoin_limit_.allows(member.id, now);""",
        tests=["a peer begins anew so often, and no more"],
    ),
    Mutant(
        row=30,
        removes="a key brings any number of peers",
        file="common/keys/authorized_peers.h",
        before="""inline constexpr std::uint64_t kMostPeers = 64;""",
        after="""inline constexpr std::uint64_t kMostPeers = 64'000'000;""",
        tests=["authorized_peers bounds how many peers a key brings"],
    ),
    # --- 31: floods of connections --------------------------------------------
    Mutant(
        row=31,
        removes="strangers may have all descriptors of the process",
        file="common/net/connection_guard.cc",
        before="""  limits_.strangers = std::min(limits_.strangers, descriptor_limit() / 4);""",
        after="""  limits_.strangers =
      std::min(limits_.strangers, std::size_t{1000} * descriptor_limit());""",
        # Waits two minutes for checkpoints that cannot be written.
        tests=["fault 31: more connections than descriptors stop nobody"],
    ),
    Mutant(
        row=31,
        removes="each connection that is closed is a line of the log",
        file="common/net/complaints.cc",
        before="""  if (shown_ == kShown || culprits_.contains(culprit)) {""",
        after="""  if (false && (shown_ == kShown || culprits_.contains(culprit))) {""",
        tests=["fault 31: more connections than descriptors stop nobody"],
    ),
    # --- 32: a server that is killed ------------------------------------------
    Mutant(
        row=32,
        removes="no checkpoint is saved before the first round",
        file="server/core/coordinator_rounds.cc",
        before="""    if (position_.completed.value == 0) {""",
        after="""    if (false && position_.completed.value == 0) {""",
        tests=["fault 32: a checkpoint is saved before the first round"],
    ),
    Mutant(
        row=32,
        removes="no checkpoint is saved while the run trains",
        file="server/core/coordinator_run.cc",
        before="""      config_.checkpoint_every > 0 &&
      passes(done.value, report_.steps, config_.checkpoint_every);""",
        after="""      false && config_.checkpoint_every > 0 &&
      passes(done.value, report_.steps, config_.checkpoint_every);""",
        # It stands in row 37: those of row 32 do not look at what was lost.
        tests=[
            "fault 37: a disk that hangs gets no further checkpoint, and "
            "training goes on"
        ],
    ),
    Mutant(
        row=32,
        removes="a peer that has lost its server does not look for it again",
        file="peer/io/server_link.cc",
        before="""      case State::kWaiting:
        resolve(now);
        break;""",
        after="""      case State::kWaiting:
        due_ = now + 1h;
        break;""",
        # Waits two minutes for rounds of the resumed server.
        tests=["peers find a killed server again when it resumes"],
    ),
    # --- 33: kills between the steps of writing -------------------------------
    Mutant(
        row=33,
        removes="what a killed process left half done stays for ever",
        file="common/files/checkpoint_store.cc",
        before="""  remove_stale();
  const fs::path target = path_of(round);""",
        after="""  if (false) remove_stale();
  const fs::path target = path_of(round);""",
        tests=["what a killed process left half done is ignored and removed"],
    ),
    Mutant(
        row=33,
        removes="lines of rounds that are trained again stay in stats.jsonl",
        file="common/files/jsonl.cc",
        before="""    if (!is_after(line, round)) kept.append(line).push_back('\\n');""",
        after="""    if (true || !is_after(line, round)) kept.append(line).push_back('\\n');""",
        tests=["fault 33: a server killed where it appends goes on"],
    ),
    Mutant(
        row=33,
        removes="a start that was killed before its first checkpoint cannot be repeated",
        file="server/run/run_directory.cc",
        before="""  if (fs::exists(path / "incarnation", ignored) &&
      !fs::exists(path / "checkpoints", ignored))""",
        after="""  if (fs::exists(path / "incarnation", ignored))""",
        tests=[
            "fault 33: a server killed where it makes a file goes on",
            "fault 33: a server killed where it writes goes on",
            "fault 33: a server killed where it renames goes on",
        ],
    ),
    Mutant(
        row=33,
        removes="old checkpoints are removed before the new one is written",
        file="common/files/checkpoint_store.cc",
        before="""  remove_stale();
  const fs::path target = path_of(round);""",
        after="""  remove_stale();
  for (const Round old : rounds()) {
    (void)failpoint("before-remove", path_of(old));
    fs::remove_all(path_of(old));
    (void)failpoint("after-remove", path_of(old));
  }
  const fs::path target = path_of(round);""",
        tests=["fault 33: a server killed where it removes goes on"],
    ),
    # --- 34: signals ----------------------------------------------------------
    Mutant(
        row=34,
        removes="a stop waits for hung peers until the round's deadline",
        file="server/core/coordinator_run.cc",
        before="""  for (auto& [number, round] : rounds_) round.deadline.stop(now);""",
        after="""  for (auto& [number, round] : rounds_)
    if (false) round.deadline.stop(now);""",
        tests=[
            "fault 34: a stop waits seconds for hung peers, then steps or not",
            "fault 34: a stop does not wait for the round's deadline",
        ],
    ),
    Mutant(
        row=34,
        removes="peers that are asked after the stop have the round's whole time",
        file="server/core/coordinator_rounds.cc",
        before="""  if (stopping_) deadline.stop(now);""",
        after="""  if (false && stopping_) deadline.stop(now);""",
        tests=["fault 34: a stop while batches are made waits seconds, too"],
    ),
    Mutant(
        row=34,
        removes="a stop waits for a swap for as long as that may take",
        file="server/core/coordinator_run.cc",
        before="""    exchange.deadline = std::min(exchange.deadline, now + kStopGrace);""",
        after="""    exchange.deadline = std::min(exchange.deadline, now + 1000 * kStopGrace);""",
        tests=["fault 34: a swap does not delay a stop for longer than seconds"],
    ),
    Mutant(
        row=34,
        removes="a run that is stopped is not saved",
        file="server/core/coordinator_run.cc",
        before="""  if (started_ && (last || stopping_ || (periodic && disk_keeps_up) || again))""",
        after="""  if (started_ && (last || (periodic && disk_keeps_up) || again))""",
        tests=[
            "fault 34: a stop waits seconds for hung peers, then steps or not",
            "fault 34: a stop does not wait for the round's deadline",
        ],
    ),
    Mutant(
        row=34,
        removes="peers hear that the run goes on by itself after Ctrl-C, too",
        file="server/core/coordinator_run.cc",
        before="""            stop_code_ == ExitCode::kStopped},""",
        after="""            true},""",
        tests=["fault 34: peers hear whether the run is to go on by itself"],
    ),
    Mutant(
        row=34,
        removes="a peer ends with 0 though it is told that the run is to go on",
        file="peer/core/session.cc",
        before="""        leave(bye->again ? ExitCode::kStopped : ExitCode::kOk,""",
        after="""        leave(ExitCode::kOk,""",
        tests=["fault 34: who is told that the run is to go on ends with 10"],
    ),
    Mutant(
        row=34,
        removes="SIGTERM and SIGHUP end as Ctrl-C does",
        file="common/base/stop_signal.cc",
        before="""  return signal == SIGINT ? ExitCode::kOk : ExitCode::kStopped;""",
        after="""  return signal == 0 ? ExitCode::kStopped : ExitCode::kOk;""",
        tests=["fault 34: SIGTERM and SIGHUP save and end all with 10, Ctrl-C 0"],
    ),
    Mutant(
        row=34,
        removes="a signal waits until the images have been loaded",
        file="common/base/stop_signal.cc",
        before="""  if (!g_is_read) {""",
        after="""  if (signal == 0) {""",
        tests=["fault 34: who is stopped while it loads its images ends at once"],
    ),
    Mutant(
        row=34,
        removes="a second Ctrl-C does nothing",
        file="common/base/stop_signal.cc",
        before="""    if (now - first >= kSameSignalMs) _exit(128 + signal);""",
        after="""    if (false && now - first >= kSameSignalMs) _exit(128 + signal);""",
        tests=["a second Ctrl-C ends at once, and the run can still be resumed"],
    ),
    Mutant(
        row=34,
        removes="a peer that SIGTERM stops ends with 0",
        file="peer/io/peer_shell.cc",
        before="""  if (report.code == ExitCode::kOk) report.code = leave_code;""",
        after="""  if (false && report.code == ExitCode::kOk) report.code = leave_code;""",
        tests=["fault 34: a peer that is stopped by SIGTERM ends with 10"],
    ),
    Mutant(
        row=34,
        removes="after a stop the generator's optimiser counts its steps anew",
        file="common/train/generator/generator_state.cc",
        before="""  adam.set_steps(static_cast<std::uint64_t>(steps));""",
        after="""  if (false) adam.set_steps(static_cast<std::uint64_t>(steps));""",
        tests=[
            "Ctrl-C finishes the round, saves, and the run goes on to the same end"
        ],
    ),
    # --- 35: a server that moves ----------------------------------------------
    Mutant(
        row=35,
        removes="the address that was tried is not told",
        file="peer/io/server_link.cc",
        before="""  return tried == endpoint_ ? endpoint_ : endpoint_ + " (" + tried + ")";""",
        after="""  return tried.empty() ? tried : endpoint_;""",
        tests=["fault 35: a peer follows its server to another address"],
    ),
    Mutant(
        row=35,
        removes="a peer keeps the addresses that it found first",
        file="peer/io/server_link.cc",
        before="""    addresses_ = std::move(**done);""",
        after="""    static const std::vector<Endpoint> first = **done;
    addresses_ = first;""",
        # Fails after four minutes or more: it waits thrice for the peer.
        tests=["fault 35: a peer follows its server to another address"],
    ),
    # --- 36: a full disk ------------------------------------------------------
    Mutant(
        row=36,
        removes="text that could not be printed is no error",
        file="common/base/terminal.cc",
        before="""      std::fflush(stdout) == 0)""",
        after="""      (std::fflush(stdout) == 0 || true))""",
        tests=["fault 36: text that cannot be printed is an error"],
    ),
    Mutant(
        row=36,
        removes="a checkpoint that could not be written whole is taken for saved",
        file="common/files/checkpoint_store.cc",
        before="""  if (done) done = replace_directory(made, target, sync_);""",
        after="""  done = replace_directory(made, target, sync_);""",
        tests=["a full disk costs the new checkpoint and nothing else"],
    ),
    Mutant(
        row=36,
        removes="a full disk leaves a part of a line",
        file="common/files/line_writer.cc",
        before="""  if (n > 0 && ::ftruncate(file_.get(), before.st_size) != 0)""",
        after="""  if (false && n > 0 && ::ftruncate(file_.get(), before.st_size) != 0)""",
        tests=["a full disk leaves whole lines, and later lines succeed"],
    ),
    Mutant(
        row=37,
        removes="the server's loop writes the statistics, and waits for the disk",
        file="server/commands/train.cc",
        before="""        StatsWriter::open(directory.stats(), options.rounds, files.post());""",
        after="""        StatsWriter::open(directory.stats(), options.rounds, {});""",
        tests=["fault 37: a file that hangs stops no round"],
    ),
    Mutant(
        row=37,
        removes="whoever logs a line waits for the disk",
        file="server/commands/train.cc",
        before="""  terminal.post = own_strand(log_writer);
""",
        after="",
        tests=["fault 37: a file that hangs stops no round"],
    ),
    Mutant(
        row=37,
        removes="each picture is waited for anew when the one before hangs",
        file="common/base/permits.cc",
        before="""  else if (!in_vain_)""",
        after="""  else""",
        tests=["After a permit was awaited in vain none is until one is given "
               "back"],
    ),
    Mutant(
        row=36,
        removes="a checkpoint that failed is not tried again for hours",
        file="server/core/coordinator_run.cc",
        before="""constexpr Duration kSaveAgain = 30s;""",
        after="""constexpr Duration kSaveAgain = 30000s;""",
        tests=["fault 36: a checkpoint that failed is tried again within a minute"],
    ),
    Mutant(
        row=36,
        removes="one checkpoint that cannot be written ends the run",
        file="server/io/server_effects.cc",
        before="""  if (!result) ++failed_saves;""",
        after="""  if (!result) {
    ++failed_saves;
    events.emplace_back(GeneratorFailed{result.error()});
  }""",
        tests=["fault 36: a file system that is full for a while ends nothing"],
    ),
    Mutant(
        row=36,
        removes="checkpoints that could not be written are not counted",
        file="server/run/status_file.cc",
        before="""    ++status_.checkpoints_failed;""",
        after="""    if (false) ++status_.checkpoints_failed;""",
        tests=["fault 36: a last checkpoint that is not there ends with 7"],
    ),
    Mutant(
        row=36,
        removes="a run whose last checkpoint is missing ends with 0",
        file="server/io/server_effects.cc",
        before="""  if (!save_error || (!tells_success && finished->code != kBelowQuorum))""",
        after="""  if (true || !save_error ||
      (!tells_success && finished->code != kBelowQuorum))""",
        tests=["fault 36: a last checkpoint that is not there ends with 7"],
    ),
    Mutant(
        row=36,
        removes="a peer whose last checkpoint is missing ends with 0",
        file="peer/io/peer_shell.cc",
        before="""    if (well && !s->not_saved.empty()) {""",
        after="""    if (false && well && !s->not_saved.empty()) {""",
        tests=["fault 36: a peer whose last checkpoint is not there ends with 7"],
    ),
    # --- 37: disks that fail, hang or are read-only ---------------------------
    Mutant(
        row=37,
        removes="a folder for checkpoints that cannot be made is no error",
        file="common/files/checkpoint_store.cc",
        before="""  if (auto made = make_directories(directory_); !made) return made;
  return check_writable({&directory_, 1});""",
        after="""  (void)make_directories(directory_);
  return {};""",
        tests=["a directory that cannot be written is an error at the start"],
    ),
    Mutant(
        row=37,
        removes="a disk that hangs gets one checkpoint after the other",
        file="server/core/coordinator_run.cc",
        before="""  const bool disk_keeps_up = saving_ == 0 || (saving_ < kSavesAtOnce &&""",
        after="""  const bool disk_keeps_up = true || saving_ == 0 || (saving_ < kSavesAtOnce &&""",
        tests=[
            "fault 37: a disk that hangs gets no further checkpoint, and "
            "training goes on"
        ],
    ),
    Mutant(
        row=37,
        removes="a run begins though its first checkpoint could not be written",
        file="server/io/server_effects.cc",
        before="""    if (!written) {
      events.emplace_back(GeneratorFailed{written.error()});""",
        after="""    if (false && !written) {
      events.emplace_back(GeneratorFailed{written.error()});""",
        tests=["fault 37: a disk that takes no first checkpoint is no start"],
    ),
    Mutant(
        row=37,
        removes="an error of fsync is taken for success",
        file="common/files/atomic_write.cc",
        before="""  return !failpoint("before-sync", path) && ::fsync(file.get()) == 0 &&
         !failpoint("after-sync", path);""",
        after="""  (void)(!failpoint("before-sync", path) && ::fsync(file.get()) == 0 &&
         !failpoint("after-sync", path));
  return true;""",
        tests=["fault 37: a disk that takes no first checkpoint is no start"],
    ),
    Mutant(
        row=37,
        removes="a peer joins though its state's folder cannot be written",
        file="peer/io/peer_shell.cc",
        before="""    folders.push_back(peer.state);""",
        after="""    folders.push_back(peer.state.parent_path());""",
        # Waits two minutes for a peer that trains.
        tests=["fault 37: a peer that cannot keep its state ends before it joins"],
    ),
    Mutant(
        row=37,
        removes="a peer joins though its privacy budget's ledger cannot be written",
        file="peer/main.cc",
        before="""    if (const auto writable = check_writable({&folder, 1}); !writable)""",
        after="""    if (const auto writable = check_writable({&folder, 1});
        false && !writable)""",
        tests=["fault 37: a peer that cannot keep its state ends before it joins"],
    ),
    Mutant(
        row=37,
        removes="a folder in which nothing can be made is taken for writable",
        file="common/files/plain_file.cc",
        before="""    if (::mkdir(probe.c_str(), 0777) != 0)""",
        after="""    if (::mkdir(probe.c_str(), 0777) != 0 && false)""",
        tests=["a folder that cannot be written is found, and nothing is left"],
    ),
    Mutant(
        row=37,
        removes="the look for writable folders leaves one of its own",
        file="common/files/plain_file.cc",
        before="""    ::rmdir(probe.c_str());""",
        after="""    if (false) ::rmdir(probe.c_str());""",
        tests=["a folder that cannot be written is found, and nothing is left"],
    ),
    Mutant(
        row=37,
        removes="what is no file, or no folder, in a run's folder is found too late",
        file="server/run/run_directory.cc",
        before="""    if (auto plain = check_plain(file); !plain) return plain;
  const fs::path folders[] = {path, path / "samples", path / "checkpoints",
                              path / "peers", path / "tensorboard"};
  return check_writable(folders);""",
        after="""    (void)check_plain(file);
  return {};""",
        tests=[
            "what is no file where a server writes one is refused by name",
            "a folder of a run that is none is refused at the start",
        ],
    ),
    Mutant(
        row=37,
        removes="a pipe in the place of a file is read and written",
        file="common/files/plain_file.cc",
        before="""  if (!S_ISREG(status.st_mode))
    return Error{
        fmt::format("cannot use {}: it is not a regular file; move it away",""",
        after="""  if (false && !S_ISREG(status.st_mode))
    return Error{
        fmt::format("cannot use {}: it is not a regular file; move it away",""",
        tests=["a pipe in the place of a file is refused, and not waited for"],
    ),
    Mutant(
        row=37,
        removes="a folder in the place of a configuration is read as an empty one",
        file="common/options/options_parser.cc",
        before="""  if (is_there && !std::filesystem::is_regular_file(file, unseen))""",
        after="""  if (is_there && std::filesystem::is_fifo(file, unseen))""",
        tests=["a configuration that is no file is refused, and not waited for"],
    ),
]
