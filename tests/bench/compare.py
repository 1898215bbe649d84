"""compare.py -- every bench of ours beside its peer, one run, as ratios.

usage: compare.py BUILD [largest T for the certifier's peer, default 10]

Speed and tightness are claimed only as these ratios. A peer that is not installed is named
and left out. Peers are found where Python finds them (PYTHONPATH for a source tree).
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


def output(command, text=""):
    done = subprocess.run([str(c) for c in command], input=text, capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        print(f"   failed: {' '.join(map(str, command))}: {done.stderr.strip()[-200:]}")
    return done.stdout


def peer(name, *arguments, text=""):
    out = output([sys.executable, HERE / "peers" / name, *arguments], text)
    for line in out.splitlines():
        if line.startswith("absent"):
            print(f"   {line}")
    return out


def side_by_side(build, name, title):
    """Lines `what B n ms` of ours against lines `what n ms` of the peer."""
    print(f"== {title}, float32, one thread, milliseconds")
    ours = {}
    for line in output([build / "bench" / name]).splitlines():
        words = line.replace("B ", " ").split()
        if words and words[0] in ("forward", "gradient", "hvp"):
            ours[words[0], int(words[1])] = float(words[2])
    for line in peer(f"{name}.py").splitlines():
        words = line.split()
        if not words or words[0] == "absent":
            continue
        key = words[0], int(words[1])
        print(f"   {words[0]:9} batch {key[1]:4}   ours {ours[key]:8.3f}   "
              f"PyTorch {float(words[2]):8.3f}   ratio {float(words[2]) / ours[key]:6.2f}"
              f"   ({line.split('# ')[-1]})", flush=True)
    if not ours:
        print("   no figures of ours")


def bound(build, longest):
    print("== bound: CROWN of an LSTM, L2 ball, one thread")
    with tempfile.TemporaryDirectory() as folder:
        lines = output([build / "bench" / "bound", folder, longest])
        print("   " + "\n   ".join(lines.splitlines()), flush=True)
        out = peer("lirpa.py", folder, longest, text=lines)
        print("   " + "\n   ".join(out.splitlines()), flush=True)


def tightness(build, longest):
    print("== tightness: trained Elman, LSTM and GRU nets, 20 series each, shortfall of the "
          "margin drop")
    with tempfile.TemporaryDirectory() as folder:
        lines = output([build / "bench" / "tightness", folder, 20, "crown", "l2", "all",
                        longest])
        out = peer("tightness.py", folder, longest, text=lines)
        print("   " + "\n   ".join(out.splitlines()), flush=True)
        radii = [json.loads(line)["radius"] for line in lines.splitlines()]
        print(f"   {len(radii)} series, {sum(r > 0 for r in radii)} with a radius proved")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, longest = pathlib.Path(sys.argv[1]), int((sys.argv + ["10"])[2])
    side_by_side(build, "engine", "engine: LSTM H 64, T 140")
    side_by_side(build, "encoder", "encoder: width 64, 4 heads, 2 layers, T 100")
    bound(build, longest)
    tightness(build, longest)


main()
