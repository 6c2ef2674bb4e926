# clusters: three servers of each neighbour, three or five of zabmq, on loopback, each in a
# directory of its own, and the commands that load them. Every driver talks to the leader directly.
import json
import os
import shutil
import socket
import urllib.error
import urllib.request

from processes import Failed, free_ports, output_of, start, stop, wait_until

SERVERS = 3
WARMUP = 1.0
# What ZooKeeper's server needs of the unpacked packages.
JARS = ["zookeeper.jar", "zookeeper-jute.jar", "netty-*[a-z].jar", "slf4j-api.jar",
        "slf4j-simple.jar", "metrics-core.jar", "snappy-java.jar", "commons-cli.jar",
        "jctools-core.jar", "findbugs-annotations.jar"]


class Cluster:
    """Starts when entered, and is gone, with its files, when left."""

    durability = "fsync on a majority"
    sessions = {}  # window -> connections of the driver; 1 when not named

    def __init__(self, name, run):
        self.name = name
        self.run = run
        self.directory = run.directory / name
        self.processes = []

    def __enter__(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        stop(self.processes)
        shutil.rmtree(self.directory, ignore_errors=True)

    def launch(self, number, command, environment=None):
        log = self.run.directory / f"{self.name}-{number}.log"
        self.processes.append(start(command, log, cwd=self.directory, environment=environment))

    def check_running(self):
        for process in self.processes:
            if process.poll() is not None:
                raise Failed(f"a server of {self.name} has ended: see {self.run.directory}")

    def drive(self, program, port, case, sessions):
        window = case.connections or case.window
        out = output_of([self.run.drivers / program, port, case.size, window,
                         case.connections or sessions, WARMUP, self.run.duration],
                        self.run.duration + 90)
        return json.loads(out)

    def start(self):
        raise NotImplementedError

    def measure(self, case):
        raise NotImplementedError


class ZooKeeper(Cluster):
    def __init__(self, name, run, sessions):
        super().__init__(name, run)
        self.sessions = sessions

    def start(self):
        ports = free_ports(3 * SERVERS)
        self.ports = ports[:SERVERS]
        java = self.run.usr / "share/java"
        classes = ":".join(str(jar) for name in JARS for jar in sorted(java.glob(name)))
        servers = "".join(f"server.{i + 1}=127.0.0.1:{ports[3 + i]}:{ports[6 + i]}\n"
                          for i in range(SERVERS))
        for i in range(SERVERS):
            home = self.directory / str(i + 1)
            home.mkdir()
            (home / "myid").write_text(f"{i + 1}\n")
            # More may be outstanding than by default, and snapshots are rarer: its best settings.
            (home / "zoo.cfg").write_text(
                f"tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={home}\n"
                f"clientPort={self.ports[i]}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n"
                f"globalOutstandingLimit=100000\nsnapCount=10000000\nadmin.enableServer=false\n"
                f"4lw.commands.whitelist=srvr\n{servers}")
            self.launch(i + 1, ["java", "-Xmx1g", "-cp", classes,
                                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                                "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                                home / "zoo.cfg"])
        self.leader = wait_until(self.find_leader, "a leader of ZooKeeper")

    def find_leader(self):
        self.check_running()
        for port in self.ports:
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as asked:
                    asked.sendall(b"srvr")
                    answer = b"".join(iter(lambda: asked.recv(4096), b""))
            except OSError:
                continue
            if b"Mode: leader" in answer:
                return port
        return None

    def measure(self, case):
        program = "zookeeper-crowd" if case.connections else "zookeeper"
        return self.drive(program, self.leader, case, min(self.sessions, case.window))


class Etcd(Cluster):
    def start(self):
        ports = free_ports(2 * SERVERS)
        self.ports = ports[:SERVERS]
        peers = ",".join(f"s{i}=http://127.0.0.1:{ports[SERVERS + i]}" for i in range(SERVERS))
        for i in range(SERVERS):
            client = f"http://127.0.0.1:{ports[i]}"
            peer = f"http://127.0.0.1:{ports[SERVERS + i]}"
            self.launch(i + 1, [self.run.usr / "bin/etcd", "--name", f"s{i}", "--data-dir",
                                self.directory / str(i), "--listen-client-urls", client,
                                "--advertise-client-urls", client, "--listen-peer-urls", peer,
                                "--initial-advertise-peer-urls", peer, "--initial-cluster", peers,
                                "--initial-cluster-state", "new", "--quota-backend-bytes",
                                8 << 30, "--logger", "zap", "--log-level", "error"])
        self.leader = wait_until(self.find_leader, "a leader of etcd")

    def find_leader(self):
        self.check_running()
        for port in self.ports:
            url = f"http://127.0.0.1:{port}/v3/maintenance/status"
            try:
                with urllib.request.urlopen(url, b"{}", timeout=1) as answer:
                    status = json.load(answer)
            except (OSError, urllib.error.URLError, ValueError):
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return port
        return None

    def measure(self, case):
        return self.drive("etcd", self.leader, case, 1 if case.window == 1 else 8)


class Nats(Cluster):
    durability = "none: 2.9 acknowledges before it syncs"

    def start(self):
        ports = free_ports(2 * SERVERS)
        self.ports = ports[:SERVERS]
        routes = ",".join(f"nats://127.0.0.1:{port}" for port in ports[SERVERS:])
        for i in range(SERVERS):
            home = self.directory / str(i)
            home.mkdir()
            config = self.directory / f"{i}.conf"
            config.write_text(
                f"listen: 127.0.0.1:{ports[i]}\nserver_name: s{i}\n"
                f"jetstream {{ store_dir: \"{home}\", max_file_store: 64GB }}\n"
                f"cluster {{ name: c, listen: 127.0.0.1:{ports[SERVERS + i]}, "
                f"routes: [{routes}] }}\n")
            self.launch(i + 1, [self.run.usr / "sbin/nats-server", "-c", config])
        self.leader = self.ports[wait_until(self.create_stream, "a leader of the stream")[0]]

    def create_stream(self):
        """Index of the server that leads the stream; None: there is none yet."""
        self.check_running()
        stream = json.dumps({"name": "bench", "subjects": ["bench"], "num_replicas": SERVERS,
                             "storage": "file", "retention": "limits", "discard": "old"})
        try:
            self.ask("$JS.API.STREAM.CREATE.bench", stream)
            found = self.ask("$JS.API.STREAM.INFO.bench", "")
        except (OSError, ValueError):
            return None
        for i in range(SERVERS):
            if found.get("cluster", {}).get("leader") == f"s{i}":
                return (i,)
        return None

    def ask(self, subject, body):
        request = f"PUB {subject} _I {len(body)}\r\n{body}\r\n"
        with socket.create_connection(("127.0.0.1", self.ports[0]), 5) as asked:
            asked.sendall(f"CONNECT {{\"verbose\":false}}\r\nSUB _I 1\r\n{request}".encode())
            lines = asked.makefile("rb")
            for line in lines:
                if line.startswith(b"MSG "):
                    return json.loads(lines.read(int(line.split()[-1])))
        raise ValueError("no answer")

    def measure(self, case):
        return self.drive("nats", self.leader, case, 1)


class Zabmq(Cluster):
    def start(self):
        count = self.run.servers
        ports = free_ports(2 * count)
        self.endpoints = [f"tcp://127.0.0.1:{port}" for port in ports[:count]]
        servers = ",".join(f"{i + 1}=127.0.0.1:{ports[count + i]}:{ports[i]}"
                           for i in range(count))
        settings = []
        if self.run.log == "recycled":  # small enough that segments come back soon
            settings = ["--set", "storage.retain_bytes=256MiB", "--set", "storage.retain_min=0s"]
        for i in range(count):
            self.launch(i + 1, [self.run.bin / "zabmqd", "--id", i + 1, "--servers", servers,
                                "--data-dir", self.directory / str(i + 1), *settings])
        self.leader = wait_until(self.find_leader, "a leader of zabmq") - 1
        if self.run.log == "recycled":
            self.bench("pub", ["--size", "64KiB", "--window", "256", "--duration", "6s"])

    def environment(self, endpoints):
        return {**os.environ, "ZABMQ_ENDPOINTS": ",".join(endpoints)}

    def find_leader(self):
        self.check_running()
        try:
            out = output_of([self.run.bin / "zabmq", "status", "-o", "json"], 10,
                            self.environment(self.endpoints))
        except Failed:
            return None
        return json.loads(out)["leader"]

    def bench(self, mode, words, endpoints=None):
        command = [self.run.bin / "zabmq", "bench", mode, "--json", *words]
        out = output_of(command, self.run.duration + 90,
                        self.environment(endpoints or self.endpoints))
        return json.loads(out.splitlines()[-1])

    def measure(self, case):
        words = ["--size", case.size, "--window", 1 if case.connections else case.window,
                 "--publishers", case.connections or 1, "--warmup", f"{int(WARMUP * 1000)}ms",
                 "--duration", f"{int(self.run.duration * 1000)}ms"]
        if case.rate:
            words += ["--rate", case.rate]
        if not case.reader:
            return self.bench("pub", words)
        followers = [endpoint for i, endpoint in enumerate(self.endpoints) if i != self.leader]
        return self.bench("e2e", words, followers[:1])  # the subscriber stays there


class Limit(Cluster):
    """Nothing to start: the program starts its servers for each measurement."""

    def start(self):
        pass

    def measure(self, case):
        words = ["--dir", self.directory, "--servers", self.run.servers, "--size", case.size,
                 "--window", case.window,
                 "--sockets", case.connections or 1, "--log", self.run.log, "--warmup",
                 f"{int(WARMUP * 1000)}ms", "--duration", f"{int(self.run.duration * 1000)}ms"]
        if case.reader:
            words += ["--reader"]
        if case.rate:
            words += ["--rate", case.rate]
        out = output_of([self.run.bin / "zabmq-limit", *words], self.run.duration + 90)
        return json.loads(out.splitlines()[-1])
