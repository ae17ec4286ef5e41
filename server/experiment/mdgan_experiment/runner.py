"""Runs jobs, several at a time, until all have ended, and reports progress."""
import signal
import sys
import time

POLL_S = 0.2


def clock(seconds):
    seconds = int(seconds)
    hours, rest = divmod(seconds, 3600)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


class Runner:
    """The first Ctrl-C lets the jobs finish their round and save; the second
    kills them."""

    def __init__(self, jobs, at_once=1, out=sys.stderr):
        self.jobs, self.at_once, self.out = jobs, at_once, out
        self.failed = []  # (job, reason)
        self.signals = 0
        self.shown = 0.0

    def run(self):
        """Returns False if a signal stopped the jobs; `failed` lists those that
        failed."""
        waiting = [job for job in self.jobs if not job.done()]
        skipped = len(self.jobs) - len(waiting)
        if skipped:
            self.say(f"{skipped} of {len(self.jobs)} runs are complete already")
        self.started, self.waiting, self.active = time.monotonic(), waiting, []
        self.begun = {}
        handlers = {s: signal.signal(s, self.on_signal)
                    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            self.loop()
        finally:
            for job in self.active:
                job.kill()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self.signals == 0

    def loop(self):
        passed_on = 0  # how many signals the jobs have got
        while self.active or (self.waiting and not self.signals):
            while (self.waiting and not self.signals
                   and len(self.active) < self.at_once):
                self.begin(self.waiting.pop(0))
            if self.signals > passed_on:
                passed_on = self.signals
                for job in self.active:
                    job.kill() if passed_on > 1 else job.stop()
            for job in list(self.active):
                code = job.poll()
                if code is not None:
                    self.active.remove(job)
                    self.finish(job, code)
            self.show_progress()
            if self.active:
                time.sleep(POLL_S)

    def on_signal(self, *_):
        self.signals += 1
        self.say("finishing the round and saving; a second signal ends at once"
                 if self.signals == 1 else "ending at once")

    def begin(self, job):
        try:
            job.start()
        except OSError as error:
            self.failed.append((job, str(error)))
            self.say(f"{job.name} failed: {error}")
            return
        self.begun[job] = job.first_round
        self.active.append(job)
        verb = f"goes on after round {job.first_round}" \
            if job.first_round else "starts"
        self.say(f"{job.name} {verb}")

    def finish(self, job, code):
        if code == 0 and job.done():
            self.say(f"{job.name} is complete")
        elif self.signals:
            self.say(f"{job.name} stopped at round {job.progress()}")
        else:
            reason = f"exit code {code}" if code else "it ended early"
            self.failed.append((job, reason))
            self.say(f"{job.name} failed: {reason}; see {job.log}")

    # --- progress ---

    def rounds_done(self):
        """Returns how many rounds all jobs have done, and how many of these
        under this runner."""
        everything = sum(job.rounds if job not in self.begun and
                         job not in self.waiting else job.progress()
                         for job in self.jobs)
        here = sum(max(0, job.progress() - first)
                   for job, first in self.begun.items())
        return everything, here

    def show_progress(self):
        now = time.monotonic()
        terminal = self.out.isatty()
        if now - self.shown < (1 if terminal else 60) or not self.active:
            return
        self.shown = now
        done, here = self.rounds_done()
        total = sum(job.rounds for job in self.jobs)
        left = ""
        if here:
            each = (now - self.started) / here
            left = f"  {clock(each * (total - done))} left"
        names = ", ".join(f"{j.name} {j.progress()}/{j.rounds}"
                          for j in self.active)
        finished = sum(job not in self.active and job not in self.waiting
                       for job in self.jobs)
        text = (f"{done / total:4.0%}{left}  run {finished + len(self.active)}"
                f" of {len(self.jobs)}: {names}")
        if terminal:
            self.out.write("\r\x1b[K" + text)
        else:
            self.out.write(text + "\n")
        self.out.flush()

    def say(self, text):
        if self.out.isatty():
            self.out.write("\r\x1b[K")
        self.out.write(text + "\n")
        self.out.flush()
