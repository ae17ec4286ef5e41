"""What the network does to real processes.

  network_test.py FOLDER_OF_PROGRAMS ROW

runs the test of a row of FAULTS.md, on a wire between network namespaces that this
makes from TAP devices (wire.py): it takes root or user namespaces, and iproute2.
Exit code 77: this machine makes no network namespaces.
"""
import pathlib
import signal
import sys
import tempfile
import traceback

import programs
from programs import eventually

SKIPPED = 77  # tests/CMakeLists.txt has it as SKIP_RETURN_CODE
ENDLESS = ("--rounds", 10000000)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def stop(run, server, peers):
    server.process.send_signal(signal.SIGINT)
    check(server.wait() == 0, "the server stops")
    for peer in peers:
        check(peer.wait() == 0, "a peer stops with its server")


def half_open(start):
    run = start(nodes=3)
    server = run.server("--min-peers", 2, *ENDLESS)
    peers = run.peers(2)
    check(eventually(lambda: run.round() > 5), "training")
    run.network.rule(0, [2], cut=True)
    check(eventually(lambda: run.member(1)["missed"] > 0), "a missed round")
    check(run.advances(20), "rounds without it")
    check(eventually(lambda: "lost" in peers[1].output() or
                     "no word from" in peers[1].output()), "the peer notices")
    check(eventually(lambda: run.member(1)["presence"] == "absent"),
          "the server notices")
    check(run.advances(20), "rounds without it")
    run.network.rule(0, [2])
    check(eventually(lambda: run.member(1)["presence"] == "live"),
          "the peer comes back")
    missed = run.member(1)["missed"]
    check(run.advances(20), "rounds with it")
    check(run.member(1)["missed"] <= missed + 1, "its answers count again")
    check("copy of peer" not in run.log(), "it has kept its discriminator")
    stop(run, server, peers)


def slow_link(start):
    # With Adam's moments 4.7 MB: some 40 s on a link of 1 Mb/s, where a heartbeat
    # that is not answered ends a connection after 30.
    run = start(nodes=3, side=16)
    run.network.rule(2, [0, 1], rate=125000)
    server = run.server("--min-peers", 1, "--swap-timeout", 110, *ENDLESS)
    first = run.start(run.peer_command(0, 2), "peer0.out")
    check(eventually(lambda: run.round() > 5), "training")
    late = run.start(run.peer_command(1, 2), "peer1.out")
    check(eventually(lambda: run.member(1)["presence"] == "copying"),
          "a copy is under way")
    check(run.advances(5), "rounds meanwhile")
    check(eventually(lambda: "(peer-1) has a copy of peer 0" in run.log()),
          "the copy arrives")
    check(run.advances(5), "rounds after it")
    check("lost" not in run.log() + first.output() + late.output(),
          "no connection is lost")
    stop(run, server, [first, late])

    # A swap has ten seconds until it is known what one takes: of half a megabyte
    # it takes five.
    run = start(nodes=3)
    run.network.rule(2, [0, 1], rate=125000)
    server = run.server("--min-peers", 2, "--swap-codec", "bfloat16",
                        "--swap-optimizer", "false", *ENDLESS)
    peers = run.peers(2)
    check(eventually(lambda: len(run.swaps()[0]) >= 2), "swaps over the link")
    check(not run.swaps()[1], "no swap is given up")
    check(run.advances(5), "rounds after them")
    check("lost" not in run.log() + peers[0].output() + peers[1].output(),
          "no connection is lost")
    stop(run, server, peers)


def two_peers_apart(start):
    run = start(nodes=5)
    run.network.rule(1, [2], cut=True)
    server = run.server("--min-peers", 4, "--swap-timeout", 5, *ENDLESS)
    peers = run.peers(4)

    def named():
        return [note for note in run.swaps()[1]
                if "what peer peer-0 sends to peer peer-1 at tcp://10.77.0.3"
                in note or
                "what peer peer-1 sends to peer peer-0 at tcp://10.77.0.2"
                in note]

    check(eventually(named), "the link is named")
    check(run.advances(20), "rounds go on")
    check(eventually(lambda: any(" by relay" in note
                                 for note in run.swaps()[0])), "the relay")
    before = len(run.swaps()[0])
    check(eventually(lambda: len(run.swaps()[0]) >= before + 30), "swaps go on")
    # A busy machine may abort another swap; of this link it is once a direction.
    check(len(named()) <= 2, "each direction has failed once at most")
    for index in range(4):
        check(run.member(index)["presence"] == "live", "the server sees all")
    stop(run, server, peers)


def half_cut_off(start):
    run = start(nodes=5)
    server = run.server("--min-peers", 4, *ENDLESS)
    peers = run.peers(4)
    check(eventually(lambda: run.round() > 5), "training")
    for node in (3, 4):
        run.network.rule(node, [0, 1, 2], cut=True)
    check(eventually(lambda: all(run.member(i)["missed"] > 0 for i in (2, 3))),
          "missed rounds")
    check(run.advances(20), "the others are a quorum")
    check(eventually(lambda: all("no word from" in peer.output() or
                                 "lost" in peer.output()
                                 for peer in peers[2:])), "peers notice")
    for node in (3, 4):
        run.network.rule(node, [0, 1, 2])

    def all_take_part():
        return all(peer["presence"] == "live" and peer["owes"] is None
                   for peer in run.status()["peers"])

    check(eventually(all_take_part), "all are back")
    missed = [run.member(i)["missed"] for i in range(4)]
    check(run.advances(50), "rounds with all")
    check(all(run.member(i)["missed"] <= missed[i] + 1 for i in range(4)),
          "all answers count again")
    check("copy of peer" not in run.log(), "all have kept their discriminators")
    stop(run, server, peers)


def loss_and_delay(start):
    """The generator is the one of a network without faults, bit for bit."""

    def weights_of(faults, *more):
        run = start(nodes=3)
        run.network.all(**faults)
        server = run.server("--min-peers", 2, "--rounds", 25, "--quorum", 1,
                            "--batch", 50, *more)
        peers = run.peers(2)
        check(server.wait() == 0, "the server completes the run")
        for peer in peers:
            check(peer.wait() == 0, "a peer completes the run")
        newest = max((run.directory / "checkpoints").iterdir())
        return (newest / "state.safetensors").read_bytes(), *run.swaps()

    # 0.2 s there and back, and packets out of order: without swaps, of which some
    # would be given up.
    far = {"loss": 0.05, "delay": 0.1, "jitter": 0.02}
    weights = [weights_of(faults, "--swap-epochs", 0)[0] for faults in ({}, far)]
    check(weights[0] == weights[1], "the same generator")

    # With them, nearer.
    near = {"loss": 0.05, "delay": 0.01, "jitter": 0.01}
    small = ("--swap-epochs", 2, "--swap-codec", "bfloat16", "--swap-optimizer",
             "false")
    weights = []
    for faults in ({}, near):
        generator, done, aborted = weights_of(faults, *small)
        check(len(done) == 3 and not aborted, f"three swaps: {done}, {aborted}")
        weights.append(generator)
    check(weights[0] == weights[1], "the same generator after swaps")


ROWS = {7: half_open, 8: slow_link, 43: two_peers_apart, 44: half_cut_off,
        47: loss_and_delay}


def main(folder_of_programs, row):
    if not programs.in_namespaces():
        print("SKIPPED")
        return SKIPPED
    started = []
    with tempfile.TemporaryDirectory(prefix="mdgan") as folder:

        def start(nodes, side=8):
            network = programs.Network(nodes)
            here = pathlib.Path(folder) / str(len(started))
            run = programs.Run(folder_of_programs, here, network, side)
            started.append(run)
            return run

        try:
            ROWS[int(row)](start)
        except Exception:
            traceback.print_exc()
            for run in started:
                for process in run.processes:
                    print(f"--- {process.log.name}, the end")
                    print(process.output()[-3000:])
                print(f"--- status.json\n{run.status()}")
            return 1
        finally:
            for run in started:
                run.close()
                run.network.close()
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[2].isdigit() or \
            int(sys.argv[2]) not in ROWS:
        sys.exit(f"{__doc__}\nThe rows: {', '.join(map(str, ROWS))}")
    sys.exit(main(sys.argv[1], sys.argv[2]))
