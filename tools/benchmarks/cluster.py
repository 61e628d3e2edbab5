"""The figures of clusters of real processes that docs/benchmarks.md records.

    tools/bench --cluster [--only PART] [--repeat N]

Parts: ready, submit, killed, stopped, failover, many-jobs, many-task-managers.
"""
import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time


NEWS = threading.Condition()  # some process has written a line


def until(condition, deadline):
    """The first true value of the condition, looked at whenever a process has written; None after so many seconds."""
    end = time.monotonic() + deadline
    with NEWS:
        while not (value := condition()):
            if not NEWS.wait(end - time.monotonic()):
                return None
        return value


class Process:
    """A process of ours; each line that it writes is kept with its time."""

    def __init__(self, *arguments):
        self.lines = []
        self.popen = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            self._add(line)
        self._add('')

    def _add(self, line):
        with NEWS:
            self.lines.append((time.monotonic(), line))
            NEWS.notify_all()

    def wait_for(self, pattern, since=0.0, times=1):
        """The time and the match of the first line with the pattern after `since`, or of a later one."""
        at, left = 0, times

        def found():
            nonlocal at, left
            while at < len(self.lines):
                when, line = self.lines[at]
                at += 1
                if line == '':
                    return 'ended'
                if when >= since and (match := re.search(pattern, line)):
                    left -= 1
                    if left == 0:
                        return when, match
            return None

        value = until(found, 60)
        if value is None or value == 'ended':
            sys.exit(f"{self.popen.args} {'has ended before it said' if value else 'does not say'} '{pattern}':\n{self.text()}")
        return value

    def has_said(self, pattern):
        return any(re.search(pattern, line) for _, line in self.lines)

    def text(self):
        return ''.join(line for _, line in self.lines[-20:])

    def kill(self, number=signal.SIGKILL):
        os.kill(self.popen.pid, number)
        return time.monotonic()

    def memory(self):
        """Resident and proportional set size in MiB."""
        text = open(f'/proc/{self.popen.pid}/smaps_rollup').read()
        return [int(re.search(rf'^{kind}:\s+(\d+)', text, re.M)[1]) / 1024 for kind in ('Rss', 'Pss')]

    def cpu_seconds(self):
        fields = open(f'/proc/{self.popen.pid}/stat').read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Cluster:
    def __init__(self, task_managers, slots=1, settings=(), port=0):
        self.settings, self.slots, self.processes = list(settings), slots, []
        self.directory = tempfile.mkdtemp(prefix='dataflow-bench-')
        self.job_manager = self.start_job_manager(port)
        self.address = self.job_manager.wait_for(r'The job manager listens on (\S+)\.')[1][1]
        self.task_managers = [self.start_task_manager() for _ in range(task_managers)]
        for t in self.task_managers:
            t.wait_for('has registered with')

    def start(self, *arguments):
        self.processes.append(Process(dataflow, *arguments, *self.settings))
        return self.processes[-1]

    def start_job_manager(self, port=0):
        return self.start('jobmanager', f'-Djobmanager.rpc.port={port}')

    def start_task_manager(self):
        return self.start('taskmanager', '-m', self.address, f'-Dtaskmanager.numberOfTaskSlots={self.slots}')

    def ticks(self, *arguments):
        return [dataflow, 'run', '-d', '-m', self.address, *self.settings, *[a for a in arguments if a[:2] in ('-p', '-D')],
                ticks_library, '--checkpoints', self.directory, *[a for a in arguments if a[:2] == '--']]

    def who_prints(self):
        """The task manager with the job, and the spare one."""
        first, second = self.task_managers
        if not until(lambda: first.has_said(TICK) or second.has_said(TICK), 60):
            sys.exit('no task manager prints')
        return (first, second) if first.has_said(TICK) else (second, first)

    def submit(self, *arguments):
        subprocess.run(self.ticks(*arguments), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def cpu_seconds(self):
        return sum(p.cpu_seconds() for p in self.processes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.processes:
            p.popen.kill()
        for p in self.processes:
            p.popen.wait()
        shutil.rmtree(self.directory)


TICK = r'^tick'


def milliseconds(values):
    return f'p50 {statistics.median(values) * 1000:.1f} ms, most {max(values) * 1000:.1f} ms of {len(values)}'


def say(what, figure):
    print(f'| {what} | {figure} |', flush=True)


def ready(repeat):
    took, memory = [], None
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as directory:
            began = time.monotonic()
            command = [dataflow, 'cluster', 'start', '-n', '2', '--directory', directory, '-Djobmanager.rpc.port=0']
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            took.append(time.monotonic() - began)
            subprocess.run([dataflow, 'cluster', 'stop', '--directory', directory], check=True, stdout=subprocess.DEVNULL)
    say('`dataflow cluster start -n 2` until all are ready', milliseconds(took))
    with Cluster(1) as c:
        for name, p in (('job manager', c.job_manager), ('task manager', c.task_managers[0])):
            rss, pss = p.memory()
            say(f'memory of an idle {name}', f'{rss:.1f} MiB resident, {pss:.1f} MiB of it its own share')


def submit(repeat):
    known, running = [], []
    for _ in range(repeat):
        with Cluster(1) as c:
            began = time.monotonic()
            c.submit('--rate=100000')
            known.append(time.monotonic() - began)
            running.append(c.task_managers[0].wait_for(TICK)[0] - began)
    say('`dataflow run -d` with a library of one\'s own, from its start to its end', milliseconds(known))
    say('the same to the first record that the job prints', milliseconds(running))


NO_DELAY = ['-Drestart-strategy.type=fixed-delay', '-Drestart-strategy.fixed-delay.attempts=1000',
            '-Drestart-strategy.fixed-delay.delay=0 s']


def killed(repeat, settings=(), how=''):
    noticed, output = [], []
    for _ in range(repeat):
        with Cluster(2, settings=settings) as c:
            c.submit()
            victim, spare = c.who_prints()
            victim.wait_for(TICK, times=500)  # there are checkpoints
            at = victim.kill()
            noticed.append(c.job_manager.wait_for('is gone', at)[0] - at)
            output.append(spare.wait_for(TICK, at)[0] - at)
    say('SIGKILL of a task manager to the line in the job manager\'s log' + how, milliseconds(noticed))
    say('the same to the first new output on a spare slot', milliseconds(output))
    if not settings:
        killed(repeat, NO_DELAY, ', with a restart delay of 0')


def stopped(repeat):
    output = []
    for _ in range(repeat):
        with Cluster(2) as c:
            c.submit()
            victim, spare = c.who_prints()
            at = victim.kill(signal.SIGSTOP)
            output.append(spare.wait_for(TICK, at)[0] - at)
    say('SIGSTOP of a task manager to the first new output', milliseconds(output))


def failover(repeat):
    leads, output = [], []
    for _ in range(repeat):
        store = tempfile.mkdtemp(prefix='dataflow-bench-')
        first, second = (free_port() for _ in range(2))
        with Cluster(0, 1, ['-Dhigh-availability.type=filesystem', f'-Dhigh-availability.storageDir={store}'], first) as c:
            standby = c.start_job_manager(second)
            standby.wait_for('stands by')
            task_manager = c.start('taskmanager')
            task_manager.wait_for('has registered with')
            c.submit()
            task_manager.wait_for(TICK, times=500)
            at = c.job_manager.kill()
            leads.append(standby.wait_for('The job manager leads', at)[0] - at)
            listens = standby.wait_for('The job manager listens', at)[0]
            output.append(task_manager.wait_for(TICK, listens)[0] - at)
        shutil.rmtree(store)
    say('SIGKILL of the leading job manager until a standby leads', milliseconds(leads))
    say('the same to the first new output: the gap in it', milliseconds(output))


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def many_jobs(_):
    with Cluster(4, 25) as c:
        began = time.monotonic()
        for _ in range(100):
            c.submit('--rate=10', '--checkpoint-interval=1s')
        submitted = time.monotonic() - began
        listed = subprocess.run([dataflow, 'list', '-m', c.address], capture_output=True, text=True).stdout
        count = listed.count('(RUNNING)')
        began, cpu = time.monotonic(), c.cpu_seconds()
        last, _ = c.task_managers[0].wait_for(TICK, since=began, times=1250)  # 25 jobs for 5 seconds
        cpu = (c.cpu_seconds() - cpu) / (last - began)
        say('100 jobs in one session cluster, submitted one after the other', f'{submitted:.1f} s, {count} run')
        say('their load, with 10 records and a checkpoint a second each', f'{cpu * 100:.0f} % of one processor')
        say('memory of the job manager', '{:.0f} MiB'.format(c.job_manager.memory()[0]))
        say('memory of a task manager with 25 of them', '{:.0f} MiB'.format(c.task_managers[0].memory()[0]))


def many_task_managers(_):
    began = time.monotonic()
    with Cluster(64, 4) as c:
        say('64 task managers with 4 slots, all started at once, until all have registered', f'{time.monotonic() - began:.1f} s')
        began, cpu = time.monotonic(), c.cpu_seconds()
        if until(lambda: c.job_manager.has_said('is gone'), 5):
            sys.exit('a task manager was given up: ' + c.job_manager.text())
        cpu = (c.cpu_seconds() - cpu) / (time.monotonic() - began)
        say('their heartbeats (500 ms, both ways)', f'{cpu * 100:.0f} % of one processor')
        began = time.monotonic()
        c.submit('-p256', '--rate=20000', '--keys=10000', '--checkpoint-interval=5s')  # each task manager has some
        for t in c.task_managers:
            t.wait_for(TICK)
        say('one job over all 256 slots, from `dataflow run -d` until each task manager has printed', f'{time.monotonic() - began:.1f} s')
        pss = [t.memory()[1] for t in c.task_managers]
        say('memory of each then', f'{statistics.median(pss):.0f} MiB its own share')


PARTS = {'ready': ready, 'submit': submit, 'killed': killed, 'stopped': stopped, 'failover': failover,
         'many-jobs': many_jobs, 'many-task-managers': many_task_managers}

parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
parser.add_argument('build')
parser.add_argument('--only', choices=PARTS, action='append')
parser.add_argument('--repeat', type=int, default=10)
given = parser.parse_args()
dataflow = os.path.join(given.build, 'dataflow')
ticks_library = os.path.join(given.build, 'tools/benchmarks/libbench_ticks.so')
print('| what | figure |\n| --- | --- |')
for part in given.only or PARTS:
    PARTS[part](given.repeat)
