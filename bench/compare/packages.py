# packages: the neighbours from Debian, unpacked beside the build: nothing is installed, and none of
# their services starts.
import subprocess

from processes import Failed

NEIGHBOURS = {
    "zookeeper": ["zookeeper", "libzookeeper-java", "libzookeeper-mt-dev", "libzookeeper-st-dev",
                  "libnetty-java", "libjctools-java", "libslf4j-java", "libdropwizard-metrics-java", "libsnappy-java", "libcommons-cli-java",
                  "libfindbugs-annotations-java"],
    "etcd": ["etcd-server", "libnghttp2-dev"],
    "nats": ["nats-server"],
}
WARNINGS = ["-Wall", "-Wextra"]


def _run(command, cwd):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command[:3]))}...: {(done.stdout + done.stderr)[-400:]}")


def unpack(names, directory):
    """Downloads and unpacks what is not there yet; returns the unpacked /usr."""
    archives = directory / "archives"
    tree = directory / "tree"
    archives.mkdir(parents=True, exist_ok=True)
    for package in [package for name in names for package in NEIGHBOURS[name]]:
        unpacked = archives / f"{package}.unpacked"
        if unpacked.exists():
            continue
        _run(["apt-get", "download", package], archives)
        _run(["dpkg", "-x", sorted(archives.glob(f"{package}_*.deb"))[-1], tree], directory)
        unpacked.touch()
    return tree / "usr"


def versions(names, directory):
    """Name of a neighbour -> Debian's version of its first package."""
    found = {}
    for name in names:
        archive = sorted((directory / "archives").glob(f"{NEIGHBOURS[name][0]}_*.deb"))[-1]
        found[name] = archive.name.split("_")[1].replace("%3a", ":")
    return found


def build_drivers(names, usr, source, into):
    """The drivers, against the headers and static libraries of the unpacked packages."""
    into.mkdir(parents=True, exist_ok=True)
    libraries = usr / "lib/x86_64-linux-gnu"
    broker = source / "broker"
    variants = {
        "zookeeper": [("zookeeper", ["-DTHREADED", libraries / "libzookeeper_mt.a", "-lpthread"]),
                      ("zookeeper-crowd", [libraries / "libzookeeper_st.a"])],
        "etcd": [("etcd", [libraries / "libnghttp2.a"])],
        "nats": [("nats", [])],
    }
    for name in names:
        for program, extra in variants[name]:
            flags = [word for word in extra if str(word).startswith("-D")]
            libs = [word for word in extra if word not in flags]
            _run(["c++", "-O2", "-std=c++20", *WARNINGS, *flags, "-I", usr / "include", "-I", broker,
                  "-o", into / program, source / f"bench/compare/{name}_driver.cpp",
                  broker / "cli/histogram.cpp", *libs], into)


