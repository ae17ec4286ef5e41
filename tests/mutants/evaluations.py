from mutant import Mutant

MUTANTS = [
    Mutant(
        row="evaluations",
        removes="a site measures with whatever classifier the server names",
        file="common/evaluate/site_metrics.cc",
        before="""    if (question.classifier != hash_)""",
        after="""    if (false && question.classifier != hash_)""",
        tests=["a site measures with its own classifier and no other"],
    ),
    Mutant(
        row="evaluations",
        removes="sums that are not finite are merged with the others'",
        file="server/io/server_connections.cc",
        before="""      if (!(std::abs(value) <= kMostOfSums))""",
        after="""      if (value > 2 * kMostOfSums && value < 1)""",
        tests=["numbers that are none spoil no other site's"],
    ),
    Mutant(
        row="evaluations",
        removes="features are cut into long frames, which only batches have",
        file="server/io/server_connections.cc",
        before="""          : &batch->frames_of(may_be_long ? connection->second.frame_bytes
                                          : protocol::kFrameBytes);""",
        after="""          : &batch->frames_of(may_be_long || true
                                  ? connection->second.frame_bytes
                                  : protocol::kFrameBytes);""",
        tests=["peers measure generators, and the run's end waits for them"],
    ),
    Mutant(
        row="evaluations",
        removes="the run ends while peers still measure its last generator",
        file="server/io/server_shell.cc",
        before="""  while (saves > 0 || coordinator.open_evaluations() > 0) poll();""",
        after="""  while (saves > 0) poll();""",
        tests=["peers measure generators, and the run's end waits for them"],
    ),
    Mutant(
        row="evaluations",
        removes="what waits to be measured is measured though its peer leaves",
        file="peer/io/peer_evaluations.cc",
        before="""        if (!leaving) measured = s.peer().measure(question);""",
        after="""        measured = s.peer().measure(question);""",
        tests=["a run that is stopped waits for no peer to measure"],
    ),
    Mutant(
        row="evaluations",
        removes="a peer that never answers keeps all others from being asked",
        file="server/core/coordinator_evaluations.cc",
        before="""    if (const auto oldest = evaluations_.take_oldest())
      merge_evaluation(*oldest, "before newer ones were begun", out);""",
        after="""    {
    }""",
        tests=["evaluations do not pile up, and the last one is made"],
    ),
    Mutant(
        row="evaluations",
        removes="the answer to another server is sent as one to this",
        file="peer/core/session.cc",
        before="""  if (state_ == State::kGreeting || e.run != run_ ||
      e.incarnation != incarnation_)""",
        after="""  if (state_ == State::kGreeting)""",
        tests=["a generator is measured beside a round, and for who asked alone"],
    ),
    Mutant(
        row="evaluations",
        removes="a long message on a slow link counts as a server's silence",
        file="peer/core/session.cc",
        before="""void Session::on(const PartArrived&, TimePoint now, Out&) { hear(now); }""",
        after="""void Session::on(const PartArrived&, TimePoint, Out&) {}""",
        tests=["a server that sends something long is not silent"],
    ),
    Mutant(
        row="evaluations",
        removes="a peer with a privacy budget tells sums that no budget counts",
        file="peer/options.cc",
        before="""  if (!o.evaluate_data.empty() && o.privacy.mode != DpMode::kNone)""",
        after="""  if (false && o.privacy.mode != DpMode::kNone)""",
        tests=["what no budget counts is not told beside a budget"],
    ),
    Mutant(
        row="evaluations",
        removes="a peer measures with the images that it trains on",
        file="peer/hold_out.cc",
        before="""  if (!has_part &&""",
        after="""  if (false && !has_part &&""",
        tests=["a peer measures with images that it does not train on, or not"],
    ),
    Mutant(
        row="evaluations",
        removes="the pooled covariance is not centred",
        file="common/evaluate/feature_statistics.cc",
        before="""      value = (value - n * statistics.mean[i] * statistics.mean[j]) / (n - 1);""",
        after="""      value = value / (n - 1);""",
        tests=["the distance to all sites' images is the central one"],
    ),
]
