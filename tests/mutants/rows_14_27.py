from mutant import Mutant

MUTANTS = [
    Mutant(
        row=22,
        removes="nothing is logged of messages that cannot be read",
        file="server/io/server_connections.cc",
        before="""  complaints.warn(received.address, "unreadable message: " + error.message,
                  Clock::now());
""",
        after="",
        tests=["fault 22: a hundred unreadable messages are one line of the log"],
    ),
    Mutant(
        row=24,
        removes="who sends a message of many parts stays connected",
        file="common/net/receiver.cc",
        before="""    if (guard_ != nullptr && descriptor >= 0) guard_->cut(descriptor);
""",
        after="",
        tests=["fault 24: who sends a message of many parts is cut off"],
    ),
    # --- 14: feedback replayed after server restart
    Mutant(
        row=14,
        removes="the server uses a feedback that names another incarnation of it",
        file="server/core/coordinator.cc",
        before="""      message.incarnation != config_.incarnation) {""",
        after="""      (false && message.incarnation != config_.incarnation)) {""",
        tests=["Feedback that is not an answer changes nothing"],
    ),
    Mutant(
        row=14,
        removes="a peer obeys a server message that names another incarnation",
        file="peer/core/session.cc",
        before="""      message.incarnation != incarnation_) {""",
        after="""      (false && message.incarnation != incarnation_)) {""",
        tests=["messages of another incarnation are ignored"],
    ),
    # --- 15: wrong shape or rank
    # The server, which throws tensors of other shapes away as they come, reads
    # then a tensor that is not there, and crashes.
    Mutant(
        row=15,
        removes="the shapes of an answer's tensors are not compared with the round's",
        file="server/io/server_connections.cc",
        before="""  if (!std::ranges::equal(answer, tensors, {}, {}, &Blob::meta))""",
        after="""  if (false && !std::ranges::equal(answer, tensors, {}, {}, &Blob::meta))""",
        tests=["Feedback that is not an answer changes nothing"],
    ),
    Mutant(
        row=15,
        removes="the refusal of a shape does not say which one was expected",
        file="server/io/server_connections.cc",
        before="""           protocol::shapes_text(answered->tensors) + ", expected " +
           protocol::shapes_text(answer);""",
        after="""           protocol::shapes_text(answered->tensors);""",
        tests=["Feedback that is not an answer changes nothing"],
    ),
    Mutant(
        row=15,
        removes="a refusal lists all shapes of a message, however many there are",
        file="protocol/frames.cc",
        before="""constexpr std::size_t kShapesShown = 4;""",
        after="""constexpr std::size_t kShapesShown = 4000;""",
        tests=["shapes are told to people, as many as they read"],
    ),
    # --- 16: wrong dtype, wrong byte count, overflow of dimensions
    Mutant(
        row=16,
        removes="a tensor whose dimensions overflow is taken",
        file="protocol/frames.cc",
        before="""    if (dim > kMaxTensorBytes / bytes)""",
        after="""    if (false && dim > kMaxTensorBytes / bytes)""",
        tests=["tensors beyond the limits are refused"],
    ),
    Mutant(
        row=16,
        removes="a tensor of the type int64, which only files may have, is taken",
        file="protocol/codec_read.cc",
        before="""  if (meta.dtype == DType::kInt64) r.fail("dtype", "another one than 3");""",
        after="""  if (false && meta.dtype == DType::kInt64)
    r.fail("dtype", "another one than 3");""",
        tests=["tensors beyond the limits are refused"],
    ),
    Mutant(
        row=16,
        removes="a tensor frame that is shorter than announced is taken",
        file="protocol/frames.cc",
        before="""  if (bytes != expected)""",
        after="""  if (bytes > expected)""",
        tests=["frames must be exactly those that the envelope announces"],
    ),
    Mutant(
        row=16,
        removes="a tensor frame that no envelope announces is taken",
        file="protocol/frames.cc",
        before="""  if (complete())
    return Error{"a tensor frame of \"""",
        after="""  if (false && complete())
    return Error{"a tensor frame of \"""",
        tests=["frames must be exactly those that the envelope announces"],
    ),
    # --- 17: NaN or Inf in feedback
    Mutant(
        row=17,
        removes="a feedback that holds NaN or infinity is used",
        file="server/io/server_connections.cc",
        before="""  return is_within(tensors[0], kMaxFeedback);""",
        after="""  return true || is_within(tensors[0], kMaxFeedback);""",
        tests=["Feedback that is not an answer changes nothing"],
    ),
    Mutant(
        row=17,
        removes="a feedback whose losses are not finite is used",
        file="server/io/server_connections.cc",
        before="""  if (!std::isfinite(answered->discriminator_loss) ||
      !std::isfinite(answered->generator_loss))""",
        after="""  if (false && (!std::isfinite(answered->discriminator_loss) ||
                !std::isfinite(answered->generator_loss)))""",
        tests=["Feedback that is not an answer changes nothing"],
    ),
    Mutant(
        row=17,
        removes="a loss that is not finite makes the whole message unreadable",
        file="protocol/codec_read.cc",
        before="""  m.discriminator_loss = r.any_number("discriminator_loss");""",
        after="""  m.discriminator_loss = r.number("discriminator_loss");""",
        tests=["losses may be any msgpack number"],
    ),
    Mutant(
        row=17,
        removes="an answer that was found unusable is used",
        file="server/core/coordinator_rounds.cc",
        before="""  OpenRound& round = it->second;
  if (e.defect.empty()) {""",
        after="""  OpenRound& round = it->second;
  if (true || e.defect.empty()) {""",
        tests=["fault 12, fault 17: who answers nothing but rubbish is set aside"],
    ),
    Mutant(
        row=17,
        removes="unusable answers of a peer are not counted: it is never set aside",
        file="server/core/coordinator_rounds.cc",
        before="""      member->second.invalid_score += kInvalidScore;""",
        after="""      member->second.invalid_score += 0;""",
        tests=["fault 12, fault 17: who answers nothing but rubbish is set aside"],
    ),
    # --- 18: finite but huge feedback. One for each of its many protections.
    Mutant(
        row=18,
        removes="a feedback may be 1e12 times as long as those of the others",
        file="server/core/feedback_bound.h",
        before="""inline constexpr double kLargestMultiple = 100;""",
        after="""inline constexpr double kLargestMultiple = 1e12;""",
        tests=[
            "fault 18: a length is bounded by those of the others",
            "fault 18: a feedback far longer than the others' is not used",
            "fault 18: who sends five such in a row is set aside, and stays so over a restart",
            "Feedback that is not an answer changes nothing",
        ],
    ),
    Mutant(
        row=18,
        removes="the only feedback of a round may be of any length",
        file="server/core/feedback_bound.h",
        before="""inline constexpr double kLargestAlone = 1e4;""",
        after="""inline constexpr double kLargestAlone = 1e300;""",
        tests=[
            "fault 18: a length is bounded by those of the others",
            "fault 18: a round of which too little is left is asked anew",
        ],
    ),
    Mutant(
        row=18,
        removes="a round closes, though too few of its answers could be used",
        file="server/core/coordinator_rounds.cc",
        before="""  if (!enough) {""",
        after="""  if (false && !enough) {""",
        tests=["fault 18: a round of which too little is left is asked anew"],
    ),
    Mutant(
        row=18,
        removes="a server that starts anew forgets who was set aside",
        file="server/core/coordinator.cc",
        before="""  for (const auto& [name, id] : position_.names) {""",
        after="""  position_.set_aside.clear();
  for (const auto& [name, id] : position_.names) {""",
        tests=[
            "fault 18: who sends five such in a row is set aside, and stays so over a restart"
        ],
    ),
    # Each check alone stops what the first test sends: both go.
    Mutant(
        row=18,
        removes="the generator steps by a feedback that is not finite",
        file="common/train/generator/generator_trainer.cc",
        before="""  if (!std::isfinite(report.feedback_norm)) {
    close(round);
    return diverged(round, "the feedback");
  }
  report.merge_seconds = seconds(Clock::now() - start);

  // The weights have moved since the images were made: F is taken for the
  // feedback on the images that the same latents give now.
  if (opened->second.updates != updates) pass_forward(opened->second);
  Gradient result{backward(opened->second), opened->second.buffers};
  close(round);
  // A GPU is waited for here: what diverged must not reach the weights.
  if (!std::isfinite(norm_of(result.parts)))""",
        after="""  if (false && !std::isfinite(report.feedback_norm)) {
    close(round);
    return diverged(round, "the feedback");
  }
  report.merge_seconds = seconds(Clock::now() - start);

  if (opened->second.updates != updates) pass_forward(opened->second);
  Gradient result{backward(opened->second), opened->second.buffers};
  close(round);
  if (false && !std::isfinite(norm_of(result.parts)))""",
        tests=["a feedback that is not finite is refused and changes nothing"],
    ),
    Mutant(
        row=18,
        removes="the generator steps by a gradient that has overflowed",
        file="common/train/generator/generator_trainer.cc",
        before="""  if (!std::isfinite(norm_of(result.parts)))""",
        after="""  if (false && !std::isfinite(norm_of(result.parts)))""",
        tests=["a gradient that overflows is refused and changes nothing"],
    ),
    Mutant(
        row=18,
        removes="UA-GAN makes a row as long as its peer's logits say",
        file="common/merge/ua_gan.cc",
        before="""constexpr double kMostMultiple = 100;""",
        after="""constexpr double kMostMultiple = 1e12;""",
        tests=["UA-GAN makes no row far longer than the others are"],
    ),
    Mutant(
        row=18,
        removes="the bound on logits bounds nothing",
        file="common/merge/bounded_logits.cc",
        before="""  if (most == 0) return logits;""",
        after="""  if (true || most == 0) return logits;""",
        tests=["with a bound on logits no peer decides alone"],
    ),
    # --- 19: Byzantine feedback
    Mutant(
        row=19,
        removes="clip shortens no row",
        file="common/merge/clip.cc",
        before="""    if (group.norms[i] <= most) {""",
        after="""    if (true || group.norms[i] <= most) {""",
        tests=["fault 19: hostile answers move each rule no farther than its bound"],
    ),
    Mutant(
        row=19,
        removes="the median is the mean",
        file="common/merge/trimmed_mean.cc",
        before="""  add_trimmed_mean(group, (group.rows.size() - 1) / 2, RowValues(group).rows());""",
        after="""  add_trimmed_mean(group, 0, RowValues(group).rows());""",
        tests=["fault 19: hostile answers move each rule no farther than its bound"],
    ),
    Mutant(
        row=19,
        removes="the trimmed mean leaves nothing out",
        file="common/merge/trimmed_mean.cc",
        before="""  add_trimmed_mean(group, group.parameters.hostile, RowValues(group).rows());""",
        after="""  add_trimmed_mean(group, 0, RowValues(group).rows());""",
        tests=["fault 19: hostile answers move each rule no farther than its bound"],
    ),
    Mutant(
        row=19,
        removes="Krum and multi-Krum choose the rows that are farthest from the others",
        file="common/merge/krum.cc",
        before="""    return std::pair(score[a], group.rows[a]->peer) <""",
        after="""    return std::pair(score[a], group.rows[a]->peer) >""",
        tests=["fault 19: hostile answers move each rule no farther than its bound"],
    ),
    # --- 20: oversize frame to server
    # The test waits 120 s for the connection to end, and its time is 120 s: no
    # mutant of this protection fails sooner.
    Mutant(
        row=20,
        removes="the server takes frames of 1 GB",
        file="common/net/channel.cc",
        before="""  set_common_options(socket, protocol::kFrameBytes);""",
        after="""  set_common_options(socket, 1000 * protocol::kFrameBytes);""",
        tests=["A frame over the limit costs its sender the connection, and nobody else"],
    ),
    # --- 21: oversize frame to peer
    # The test waits 120 s for a second connection (its time is 300 s).
    Mutant(
        row=21,
        removes="a peer that lost its connection makes no new one for a minute",
        file="peer/io/server_link.cc",
        before="""  due_ = now + with_jitter(std::min(longest, kLongestWait));""",
        after="""  due_ = now + 1000 * with_jitter(std::min(longest, kLongestWait));""",
        tests=["fault 21: a frame too large costs a peer its connection, not more"],
    ),
    # The test takes the 40 s of the peer's --connect-timeout.
    Mutant(
        row=21,
        removes="a peer that gives the server up ends with 1, not with 5",
        file="peer/io/peer_connections.cc",
        before="""             ExitCode::kUnreachable});""",
        after="""             ExitCode::kBug});""",
        tests=["fault 21: a frame too large costs a peer its connection, not more"],
    ),
    # --- 22: truncated, trailing byte, bits flipped
    Mutant(
        row=22,
        removes="a message that is no msgpack throws where nobody catches it",
        file="protocol/codec.cc",
        before="""  } catch (const std::exception& e) {""",
        after="""  } catch (const std::exception& e) {
    if (e.what() != nullptr) throw;""",
        tests=["every proper prefix of a message is refused"],
    ),
    Mutant(
        row=22,
        removes="bytes that follow a message are passed over",
        file="protocol/codec.cc",
        before="""    if (offset != envelope.size())""",
        after="""    if (false && offset != envelope.size())""",
        tests=[
            "a byte after the message is refused",
            "What is not a message is an error, and the next one is read",
        ],
    ),
    Mutant(
        row=22,
        removes="a text with damaged characters is taken",
        file="protocol/reader.cc",
        before="""        is_clean_text(text))""",
        after="""        (true || is_clean_text(text)))""",
        tests=["damaged messages are refused or read as other valid messages"],
    ),
    Mutant(
        row=22,
        removes="the rest of a message that was broken off is awaited for ever",
        file="common/net/receiver.cc",
        before="""      // Its sender gave it up, and this is an envelope; or it is none.
      forget(message->routing_id);""",
        after="""      // Its sender gave it up, and this is an envelope; or it is none.""",
        tests=["What is not a message is an error, and the next one is read"],
    ),
    Mutant(
        row=22,
        removes="each message of one sender's rubbish has its line in the log",
        file="common/net/complaints.cc",
        before="""  if (shown_ == kShown || culprits_.contains(culprit)) {""",
        after="""  if (shown_ == kShown || (false && culprits_.contains(culprit))) {""",
        tests=["fault 22: who sends rubbish is complained of once a minute"],
    ),
    # --- 23: msgpack bombs
    Mutant(
        row=23,
        removes="a msgpack array may claim a million elements",
        file="protocol/codec.cc",
        before="""    const msgpack::unpack_limit limit(kMaxArray, /*map=*/0, kMaxString, kMaxBin,""",
        after="""    const msgpack::unpack_limit limit(1'000'000, /*map=*/0, kMaxString, kMaxBin,""",
        tests=["msgpack bombs are refused"],
    ),
    Mutant(
        row=23,
        removes="msgpack arrays may be nested 100,000 deep",
        file="protocol/codec.cc",
        before="""                                      /*ext=*/0, kMaxDepth);""",
        after="""                                      /*ext=*/0, 100'000);""",
        tests=["msgpack bombs are refused"],
    ),
    Mutant(
        row=23,
        removes="an envelope of any size is parsed",
        file="protocol/codec.cc",
        before="""  if (envelope.size() > kMaxEnvelopeBytes)""",
        after="""  if (false && envelope.size() > kMaxEnvelopeBytes)""",
        tests=["msgpack bombs are refused"],
    ),
    # --- 24: many frames, endless parts
    Mutant(
        row=24,
        removes="the first part of a message of many is read as a message",
        file="common/net/receiver.cc",
        before="""  if (message->parts != 1) {""",
        after="""  if (false && message->parts != 1) {""",
        tests=["fault 24: a ZeroMQ message of many parts is one error"],
    ),
    Mutant(
        row=24,
        removes="an envelope may announce any number of frames",
        file="protocol/frames.cc",
        before="""  if (count >= kMaxFrames)""",
        after="""  if (false && count >= kMaxFrames)""",
        tests=["fault 24: a message of too many frames is an error"],
    ),
    # Never cutting would fill memory by about 9 GB. With 2.5 s one of its 60
    # connections sends 400 MiB, or all together need more than its 120 s. It may
    # take some GB of memory for a moment.
    Mutant(
        row=24,
        removes="who sends a message without an end is cut off only after 2.5 s",
        file="common/net/connection_guard.cc",
        before="""  if (longer_than_any_queue || drained_in_vain) {""",
        after="""  if ((longer_than_any_queue || drained_in_vain) &&
      Clock::now() - watched.since > 2500ms) {""",
        tests=["fault 24: parts that never end cost no memory"],
    ),
    # --- 25: unknown message type, wrong state for type
    Mutant(
        row=25,
        removes="a message of an unknown type is read as a commit",
        file="protocol/codec.cc",
        before="""  const Type* type = find_type(number);""",
        after="""  const Type* type = find_type(number);
  if (type == nullptr) type = find_type(9);""",
        tests=[
            "an unknown message type is an error that says so",
            "fault 25: an unknown message is answered once, and ignored",
        ],
    ),
    Mutant(
        row=25,
        removes="every unreadable message of a connection is answered",
        file="server/io/server_connections.cc",
        before="""  if (std::exchange(connections[id].complained, true)) return;""",
        after="""  if (false && std::exchange(connections[id].complained, true)) return;""",
        tests=["fault 25: an unknown message is answered once, and ignored"],
    ),
    Mutant(
        row=25,
        removes="who sends what a peer may not is told that it has no session",
        file="server/core/coordinator.cc",
        before="""    refuse(e.connection, message.peer, protocol::ErrorCode::kState,""",
        after="""    refuse(e.connection, message.peer, protocol::ErrorCode::kUnknownPeer,""",
        tests=["fault 25: what a peer may not send is answered, and ignored"],
    ),
    # --- 26: another major version
    Mutant(
        row=26,
        removes="a message of another major version is read as one of this version",
        file="protocol/codec.cc",
        before="""  if (major != kMajor) return version_error(major, minor);""",
        after="""  if (false && major != kMajor) return version_error(major, minor);""",
        tests=[
            "another major version is a configuration error naming both",
            "fault 26: a peer of another major version is told both",
        ],
    ),
    Mutant(
        row=26,
        removes="a peer of another major version is told that its message is damaged",
        file="server/io/server_connections.cc",
        before="""  reply.body = protocol::ErrorReply{error.code == ExitCode::kConfiguration""",
        after="""  reply.body = protocol::ErrorReply{false && error.code == ExitCode::kConfiguration""",
        tests=["fault 26: a peer of another major version is told both"],
    ),
    Mutant(
        row=26,
        removes="a peer that is refused for its version ends with 1, not with 3",
        file="peer/core/session_welcome.cc",
        before="""      leave(ExitCode::kConfiguration, "refused by the server: " + error.text,""",
        after="""      leave(ExitCode::kBug, "refused by the server: " + error.text,""",
        tests=["fault 26: a peer of a server of another major version ends with 3"],
    ),
    # --- 27: other configuration or model
    Mutant(
        row=27,
        removes="a peer whose images have another size is let in",
        file="server/core/coordinator_classes.cc",
        before="""  if (!same_size(hello.image, image))""",
        after="""  if (false && !same_size(hello.image, image))""",
        tests=["who is refused is reported by name, with what it was told"],
    ),
    Mutant(
        row=27,
        removes="the refusal of an image size does not tell the run's own",
        file="server/core/coordinator_classes.cc",
        before="""size_of(image) + ": " +""",
        after="""size_of(hello.image) + ": " +""",
        tests=["Feedback that is not an answer changes nothing"],
    ),
    Mutant(
        row=27,
        removes="who is refused is told so, but nobody at the server is",
        file="server/core/coordinator_members.cc",
        before="""  out.emplace_back(ReportRefusal{connection, hello.name, text});""",
        after="""""",
        tests=["who is refused is reported by name, with what it was told"],
    ),
    Mutant(
        row=27,
        removes="a peer that cannot do the run's codecs is let in",
        file="server/core/coordinator_members.cc",
        before="""      !codec.empty()) {""",
        after="""      false && !codec.empty()) {""",
        tests=["who cannot do the run's codecs is refused by name, others train"],
    ),
]
