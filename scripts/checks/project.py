"""project - which files are the project's"""
import pathlib
import subprocess


def files():
    """What git knows or would add; without git, all but hidden folders and builds."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = [pathlib.Path(name) for name in names.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        found = [path for top in pathlib.Path(".").iterdir()
                 if top.name != ".git" and not top.name.startswith("build")
                 for path in ([top] if top.is_file() else top.rglob("*"))]
    return sorted({path for path in found if path.is_file()})
