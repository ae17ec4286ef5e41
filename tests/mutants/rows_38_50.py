from mutant import Mutant

MUTANTS = [
    # --- 38: damaged checkpoints ---------------------------------------------
    Mutant(
        row=38,
        removes="sizes and hashes of a checkpoint's files are not compared",
        file="common/files/checkpoint_store.cc",
        before=r"""    if (!files.is_object() || files.value(name, json()) != *actual)""",
        after=r"""    if (!files.is_object())""",
        tests=["every flipped bit in a checkpoint is noticed",
               "every truncated or missing file of a checkpoint is noticed"],
    ),
    Mutant(
        row=38,
        removes="the checkpoints before a damaged newest one are not tried",
        file="common/files/checkpoint_store.cc",
        before=r"""  for (auto it = all->rbegin(); it != all->rend(); ++it) {""",
        after=r"""  for (auto it = all->rbegin(); it != all->rend() && it == all->rbegin();
       ++it) {""",
        tests=["a damaged newest checkpoint gives way to the one before"],
    ),
    Mutant(
        row=38,
        removes="a run of which no checkpoint is valid passes for one without any",
        file="common/files/checkpoint_store.cc",
        before=r"""  if (all->empty()) return std::optional<SavedState>();""",
        after=r"""  return std::optional<SavedState>();""",
        tests=["a damaged newest checkpoint gives way to the one before"],
    ),
    Mutant(
        row=38,
        removes="a run whose checkpoints are gone is begun anew without a word",
        file="server/run/run_directory.cc",
        before=r"""  if (trace.empty()) return {};""",
        after=r"""  if (true || trace.empty()) return {};""",
        tests=["fault 38: a run whose checkpoints are gone is not begun anew",
               "fault 38: a run without a checkpoint that will do changes nothing"],
    ),
    Mutant(
        row=38,
        removes="a peer goes on before its discriminator has been restored",
        file="peer/core/session_welcome.cc",
        before=r"""  if (!restoring_) start(out);""",
        after=r"""  start(out);""",
        tests=["fault 38: what cannot be restored is neither saved nor sent"],
    ),
    Mutant(
        row=38,
        removes="a newest checkpoint of another version is passed over",
        file="common/files/checkpoint_store.cc",
        before="""    if (auto kept = may_be_sound(*it)) return std::move(*kept);
""",
        after="",
        tests=["fault 38: a newest checkpoint that may be sound is not passed over"],
    ),
    # --- 39: other or hostile checkpoints -------------------------------------
    Mutant(
        row=39,
        removes="a shape whose size overflows 64 bits is taken",
        file="common/files/safetensors.cc",
        before=r"""    if (dim > protocol::kMaxTensorBytes / bytes) return std::nullopt;""",
        after=r"""    if (false && dim > protocol::kMaxTensorBytes / bytes) return std::nullopt;""",
        tests=["hostile safetensors headers are refused"],
    ),
    Mutant(
        row=39,
        removes="tensors may overlap, or leave holes between them",
        file="common/files/safetensors.cc",
        before=r"""    if (entry.begin != end)""",
        after=r"""    if (false && entry.begin != end)""",
        tests=["hostile safetensors headers are refused"],
    ),
    Mutant(
        row=39,
        removes="a header is parsed however deep it nests",
        file="common/files/safetensors.cc",
        before=r"""constexpr int kMaxNesting = 3;  // header, tensor, shape""",
        after=r"""constexpr int kMaxNesting = 1'000'000'000;""",
        tests=["hostile safetensors headers are refused"],
    ),
    Mutant(
        row=39,
        removes="a generator's state with NaN or infinity in it is loaded",
        file="common/train/generator/generator_state.cc",
        before=r"""  if (floats && !is_finite(blob))""",
        after=r"""  if (false && floats && !is_finite(blob))""",
        tests=["the generator refuses a state that does not fit, and keeps its own"],
    ),
    Mutant(
        row=39,
        removes="a state with tensors that the model does not have is loaded",
        file="common/train/generator/generator_state.cc",
        before=r"""    if (std::none_of(places.begin(), places.end(), [&](const auto& place) {""",
        after=r"""    if (false &&
        std::none_of(places.begin(), places.end(), [&](const auto& place) {""",
        tests=["the generator refuses a state that does not fit, and keeps its own"],
    ),
    Mutant(
        row=39,
        removes="a checkpoint of another format version is read",
        file="common/files/checkpoint_store.cc",
        before=r"""  if (manifest.value("format_version", json()) != kFormatVersion)""",
        after=r"""  if (false && manifest.value("format_version", json()) != kFormatVersion)""",
        # A test of row 38: row 39 lists none for the version.
        tests=["every flipped bit in a checkpoint is noticed"],
    ),
    # --- 40: two servers, taken ports, refused starts ---------------------------
    Mutant(
        row=40,
        removes="a folder that another process holds is taken",
        file="server/run/run_directory.cc",
        before=r"""    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) return true;""",
        after=r"""    if (::flock(lock, LOCK_EX | LOCK_NB) == 0 || attempt >= 0) return true;""",
        tests=["a folder in use is refused, naming the process that uses it"],
    ),
    Mutant(
        row=40,
        removes="a server that cannot bind its port goes on without it",
        file="common/net/channel.cc",
        before=r"""  if (!bound) return bound.error();""",
        after=r"""  if (!bound) return {};""",
        tests=["A port that is taken is named in the error"],
    ),
    Mutant(
        row=40,
        removes="a start that is refused leaves its own status.json",
        file="server/commands/train.cc",
        before=r"""    if (!well && !files.begun) status.restore();""",
        after=r"""    if (false && !well && !files.begun) status.restore();""",
        tests=["a start that is refused changes nothing"],
    ),
    Mutant(
        row=40,
        removes="a start removes what a killed server left, before it may be refused",
        file="common/files/checkpoint_store.cc",
        before=r"""  return check_writable({&directory_, 1});""",
        after=r"""  remove_stale();
  return check_writable({&directory_, 1});""",
        tests=["a start that is refused changes nothing"],
    ),
    Mutant(
        row=40,
        removes="a start finds only after its first writes that a folder is none",
        file="server/run/run_directory.cc",
        before=r"""                              path / "peers", path / "tensorboard"};""",
        after=r"""                              path / "peers"};""",
        tests=["a start that is refused for the run's own files changes nothing"],
    ),
    # --- 41: bad data ----------------------------------------------------------
    Mutant(
        row=41,
        removes="a peer with fewer images than a batch is welcome",
        file="server/core/coordinator_classes.cc",
        before=r"""  if (hello.shard_size < config_.batch)""",
        after=r"""  if (false && hello.shard_size < config_.batch)""",
        tests=["fault 41: a shard smaller than a batch is refused before it joins"],
    ),
    Mutant(
        row=41,
        removes="a peer with an empty shard goes as far as its hello",
        file="peer/main.cc",
        before=r"""    if (shard.empty())""",
        after=r"""    if (false && shard.empty())""",
        tests=["fault 41: data that does not suffice is found before joining"],
    ),
    Mutant(
        row=41,
        removes="what is missing of a truncated MNIST file is read as zeros",
        file="common/data/idx_file.cc",
        before=r"""  if (all->size() < size)""",
        after=r"""  if (all->size() < size) all->resize(static_cast<std::size_t>(size));
  if (all->size() < size)""",
        tests=["every truncation of an MNIST file is refused"],
    ),
    Mutant(
        row=41,
        removes="what comes out of damaged gzip data is taken",
        file="common/data/gzip.cc",
        before=r"""    if (code != Z_OK && code != Z_BUF_ERROR)""",
        after=r"""    if (code != Z_OK && code != Z_BUF_ERROR) return out;
    if (code != Z_OK && code != Z_BUF_ERROR)""",
        tests=["gzip damage is noticed"],
    ),
    Mutant(
        row=41,
        removes="a CIFAR label that is no class is taken",
        file="common/data/cifar.cc",
        before=r"""      if (at(bytes, record + i) >= version.labels[i]) return record + i;""",
        after=r"""      if (false && at(bytes, record + i) >= version.labels[i])
        return record + i;""",
        tests=["damaged CIFAR-10 files are refused"],
    ),
    Mutant(
        row=41,
        removes="a damaged JPEG is taken, with pixels that the library makes up",
        file="common/data/decode_jpeg.cc",
        before=r"""    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JPEG_EOF &&""",
        after=r"""    if (false && level < 0 && code != JWRN_EXTRANEOUS_DATA &&
        code != JWRN_JPEG_EOF &&""",
        tests=["damaged images are refused by name"],
    ),
    Mutant(
        row=41,
        removes="only the first bad image is named",
        file="common/data/image_folder.cc",
        before=r"""  static constexpr std::size_t kShown = 20;""",
        after=r"""  static constexpr std::size_t kShown = 1;""",
        tests=["fault 41: all bad images are named at once"],
    ),
    Mutant(
        row=41,
        removes="what --skip-bad leaves out is not told",
        file="common/data/image_folder.cc",
        before=r"""      warn_of_skipped();""",
        after=r"""      (void)faults_;""",
        tests=["fault 41: with --skip-bad bad images are left out and counted"],
    ),
    Mutant(
        row=41,
        removes="a class of which --skip-bad leaves nothing stays a class",
        file="common/data/image_folder.cc",
        before=r"""      if (auto empty = check_classes(plan); !empty) return empty.error();""",
        after=r"""      if (auto empty = check_classes(plan); false && !empty)
        return empty.error();""",
        tests=["fault 41: --skip-bad keeps the others' labels, and no empty class"],
    ),
    Mutant(
        row=41,
        removes="images of another size are taken for such of the first one's",
        file="common/data/image_folder.cc",
        before=r"""    if (image.height == shape.height && image.width == shape.width) return true;""",
        after=r"""    if (image.height > 0) return true;""",
        tests=["images of different sizes are refused with both names",
               "fault 41: all bad images are named at once"],
    ),
    # --- 42: data that vanishes --------------------------------------------------
    Mutant(
        row=42,
        removes="a peer looks for its data again at its end, and fails without",
        file="peer/main.cc",
        before=r"""  if (!done) return report(done.error());
  if (done->code == ExitCode::kOk) return done->code;""",
        after=r"""  if (!done) return report(done.error());
  if (!std::filesystem::exists(options.data))
    return report({options.data + " has vanished", ExitCode::kData});
  if (done->code == ExitCode::kOk) return done->code;""",
        tests=["fault 42: data that vanishes during training stops nobody"],
    ),
    # --- 43: two peers that cannot reach each other -------------------------------
    Mutant(
        row=43,
        removes="a first swap that does not come through takes all of its time-out",
        file="server/core/coordinator.cc",
        before=r"""constexpr Duration kFirstSwap = 10s;""",
        after=r"""constexpr Duration kFirstSwap = 10h;""",
        tests=["fault 43: a first swap of which nothing is heard costs ten seconds"],
    ),
    Mutant(
        row=43,
        removes="the address at which a swap failed is not told",
        file="server/core/coordinator_swap.cc",
        before=r"""(relayed ? " by relay" : " at " + target.endpoint);""",
        after=r"""(relayed ? " by relay" : "");""",
        tests=["fault 43: a swap that does not come through costs seconds, is told "
               "by name and address, and is gone around",
               "fault 43: an address at which nobody listens costs a swap, then "
               "discriminators go by relay"],
    ),
    Mutant(
        row=43,
        removes="a link that failed directly is tried directly for ever",
        file="server/core/coordinator_swap.cc",
        before=r"""      links_.use_relay(edge.source, edge.target, late);""",
        after=r"""      ;""",
        # The second waits two minutes for a relay; it needs namespaces.
        tests=["fault 43: what fails directly goes by relay from then on",
               "fault 43: two peers that cannot reach each other are named, and "
               "swap by relay"],
    ),
    Mutant(
        row=43,
        removes="a peer that nobody can reach costs a swap for each who tries",
        file="server/core/link_memory.cc",
        before=r"""  return tried != tried_in_vain_.end() &&""",
        after=r"""  return false && tried != tried_in_vain_.end() &&""",
        tests=["fault 43: whom two cannot reach, and none has, gets all by relay",
               "fault 43: peers that nobody can reach cost two swaps, not many"],
    ),
    Mutant(
        row=43,
        removes="one peer that hangs has all others sent through the server",
        file="server/core/link_memory.cc",
        before=r"""constexpr std::size_t kTriedInVain = 2;""",
        after=r"""constexpr std::size_t kTriedInVain = 1;""",
        tests=["fault 43: whom two cannot reach, and none has, gets all by relay"],
    ),
    Mutant(
        row=43,
        removes="a link that failed by relay, too, is not gone around",
        file="server/core/link_memory.cc",
        before=r"""  return it != links_.end() &&""",
        after=r"""  return false && it != links_.end() &&""",
        tests=["fault 43: a relay that fails, too, is gone around"],
    ),
    Mutant(
        row=43,
        removes="a peer uses what it was sent in a swap that is broken off",
        file="peer/core/session_swap.cc",
        before=r"""    swap_.reset();
    drop_staged(out);
    out.emplace_back(Report{""",
        after=r"""    swap_.reset();
    if (staged_) install_staged(out);
    out.emplace_back(Report{""",
        # The second is of rows 4, 5 and 44.
        tests=["fault 43: links that fail, and peers without a listener, lose and "
               "double no discriminator",
               "training ends despite broken connections and killed peers"],
    ),
    # --- 44: half of the peers are cut off ----------------------------------------
    Mutant(
        row=44,
        removes="a round is closed with one answer, whatever the quorum",
        file="server/core/open_round.cc",
        before=r"""  const double needed = std::ceil(quorum * static_cast<double>(counted));""",
        after=r"""  const double needed =
      0 * std::ceil(quorum * static_cast<double>(counted));""",
        tests=["Simulated faults: 2,000 seeds"],
    ),
    Mutant(
        row=44,
        removes="a round is begun with one live peer, whatever the quorum",
        file="server/core/coordinator.cc",
        before=r"""  const double quorum = std::ceil(config_.quorum * config_.min_peers);""",
        after=r"""  const double quorum = 0 * std::ceil(config_.quorum * config_.min_peers);""",
        tests=["fault 44: peers that were cut off come back with what they had, and "
               "count once"],
    ),
    Mutant(
        row=44,
        removes="a peer that comes back gets a copy in place of what it has",
        file="server/core/start_choice.cc",
        before=r"""    return offer.run == at.run && offer.discriminator.value != 0;""",
        after=r"""    return false && offer.run == at.run && offer.discriminator.value != 0;""",
        tests=["fault 44: peers that were cut off come back with what they had, and "
               "count once",
               "fault 44: half of the peers are cut off, and come back with what "
               "they had"],
    ),
    # --- 45: discriminators that will not do ---------------------------------------
    Mutant(
        row=45,
        removes="a discriminator is taken from whoever sends one for the swap",
        file="peer/core/session_swap.cc",
        before=r"""  if (staged_ || e.transfer.token != swap_->receive_token ||
      e.transfer.source != swap_->source || e.key != swap_->source_key) {""",
        after=r"""  if (staged_) {""",
        tests=["Discriminators from strangers change nothing"],
    ),
    Mutant(
        row=45,
        removes="a discriminator with a defect, such as NaN, is taken",
        file="peer/core/session_swap.cc",
        before=r"""  if (!defect.empty()) {""",
        after=r"""  if (false && !defect.empty()) {""",
        tests=["a transfer that cannot be used is refused with its reason"],
    ),
    Mutant(
        row=45,
        removes="who forges chunks is never set aside",
        file="server/core/coordinator_relay.cc",
        before=r"""  if (++member.breaches < kInvalidAttempts) return;""",
        after=r"""  if (++member.breaches < 1000 * kInvalidAttempts) return;""",
        tests=["fault 45: who forges chunks has none passed on, and is set aside"],
    ),
    Mutant(
        row=45,
        removes="connecting anew wipes out a peer's forged chunks",
        file="server/core/coordinator_members.cc",
        before=r"""  if (position_.set_aside.erase(member.id) > 0) {""",
        after=r"""  if (position_.set_aside.erase(member.id) > 0 || true) {""",
        tests=["connecting anew starts no count of forged chunks anew"],
    ),
    Mutant(
        row=45,
        removes="a chunk that was changed on its way is taken",
        file="common/keys/sealed_stream.cc",
        before=r"""          sealed.size(), nullptr, 0) != 0)
    return std::nullopt;""",
        after=r"""          sealed.size(), nullptr, 0) != 0)
    return chunk;""",
        tests=["what was done to the chunks on their way is found"],
    ),
    Mutant(
        row=45,
        removes="a peer with keys sends its discriminator in plain, to any host",
        file="common/net/channel.cc",
        before=r"""  if (keys) use_keys(socket, *keys);""",
        after=r"""  if (false && keys) use_keys(socket, *keys);""",
        # What goes directly in a run with keys then fails, and goes by relay.
        tests=["fault 45: a discriminator that is led elsewhere stays where it is"],
    ),
    Mutant(
        row=45,
        removes="the listener of a peer with keys asks nobody for a key",
        file="peer/io/peer_listener.cc",
        before=r"""    require_keys(*listener, *options.keys, kPeersDomain);""",
        after=r"""    if (false) require_keys(*listener, *options.keys, kPeersDomain);""",
        # What goes directly in a run with keys then fails, and goes by relay.
        tests=["fault 45: what was sent to a listener is of no use a second time"],
    ),
    Mutant(
        row=45,
        removes="all edges of a swap have one token",
        file="server/core/coordinator_swap.cc",
        before=r"""    const std::uint64_t token = random.next64();""",
        after=r"""    const std::uint64_t token = random.next64() * 0 + exchange.id.value;""",
        # In the first the forger must be faster than the true source once in
        # eleven swaps; the second, of no row, is sure.
        tests=["fault 45: a member's token is good for its own edge alone",
               "each edge of a swap has a token of its own"],
    ),
    # --- 46: the wall clock jumps ----------------------------------------------------
    Mutant(
        row=46,
        removes="a peer measures the server's silence by the wall clock, too",
        file="peer/io/peer_connections.cc",
        before=r"""  if (silent > kFirstWarning && now >= next_warning) {""",
        after=r"""  const Duration jumped =
      std::chrono::duration_cast<Duration>(std::chrono::system_clock::now() -
                                           link_since) -
      (now - connected);
  const bool wall_clock_says =
      server->connected() &&
      (jumped > kFirstWarning || jumped < -Duration(kFirstWarning));
  if ((silent > kFirstWarning || wall_clock_says) && now >= next_warning) {""",
        tests=["fault 46: a wall clock that jumps by days times nobody out"],
    ),
    # --- 47: loss and delay ------------------------------------------------------------
    Mutant(
        row=47,
        removes="the remaining time is that of the first rounds",
        file="server/run/remaining_time.h",
        before=r"""    constexpr double kWeight = 0.2;""",
        after=r"""    constexpr double kWeight = 1e-6;""",
        tests=["the remaining time follows the latest speed"],
    ),
    Mutant(
        row=47,
        removes="a first swap gets no more time than a good network needs",
        file="server/core/coordinator.cc",
        before=r"""constexpr Duration kFirstSwap = 10s;""",
        after=r"""constexpr Duration kFirstSwap = 100ms;""",
        tests=["fault 47: loss and delay cost time and change no bit"],
    ),
    # --- 48: out of memory ---------------------------------------------------------------
    Mutant(
        row=48,
        removes="a server without memory for the model waits for other peers",
        file="server/core/coordinator.cc",
        before=r"""  if (config_.image || e.error.code != ExitCode::kConfiguration)""",
        after=r"""  if (config_.image)""",
        tests=["fault 48: a server without memory for the model ends"],
    ),
    Mutant(
        row=48,
        removes="a run whose server has died counts as in use for good",
        file="server/run/run_directory.cc",
        before=r"""  const std::string pid = std::to_string(::getpid()) + "\n";""",
        after=r"""  std::error_code unseen;
  if (fs::file_size(file, unseen) > 0)
    return cannot("lock this folder", file, "another server had it");
  const std::string pid = std::to_string(::getpid()) + "\n";""",
        # Its peer then waits for two minutes for a server.
        tests=["fault 48: a server that runs out of memory can be resumed"],
    ),
    # --- 49: the generator diverges ----------------------------------------------------------
    Mutant(
        row=49,
        removes="a gradient that is not finite reaches the weights",
        file="common/train/generator/generator_trainer.cc",
        before=r"""  if (!std::isfinite(norm_of(result.parts)))""",
        after=r"""  if (false && !std::isfinite(norm_of(result.parts)))""",
        tests=["a gradient that overflows is refused and changes nothing"],
    ),
    Mutant(
        row=49,
        removes="a run that got bad answers alone ends as one that lacks peers",
        file="server/core/coordinator_run.cc",
        before=r"""  const bool only_answers = invalid_attempts_ >= kInvalidAttempts;""",
        after=r"""  const bool only_answers =
      false && invalid_attempts_ >= kInvalidAttempts;""",
        tests=["fault 49: nothing but answers that are not finite ends the run with 9"],
    ),
    # --- 50: late joiners ------------------------------------------------------------------------
    Mutant(
        row=50,
        removes="a late joiner starts afresh though there are donors",
        file="server/core/coordinator_discriminators.cc",
        before=r"""  if (live_.empty()) {""",
        after=r"""  if (true || live_.empty()) {""",
        tests=["a late joiner gets a copy of a live peer's discriminator"],
    ),
]
