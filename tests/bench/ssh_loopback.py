# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands over ssh on the loopback: a private server with private keys, on a free port."""
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time

import uml
from place import Unmeasured

CONFIG = """ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
MaxStartups 100
"""
OPTIONS = ("BatchMode=yes", "StrictHostKeyChecking=no", "IdentitiesOnly=yes", "LogLevel=ERROR")


def program(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not path:
        raise Unmeasured(f"no {name}: install openssh-client and openssh-server")
    return path


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """An sshd; @wrap is put before it and its clients."""

    def __init__(self, wrap=()):
        self.wrap = list(wrap)
        self.ssh, sshd, keygen = (program(name) for name in ("ssh", "sshd", "ssh-keygen"))
        self.folder, self.port = uml.scratch("ssh"), free_port()
        if not os.path.exists(self.folder):
            os.makedirs(self.folder)
            for name in ("host_key", "key"):
                subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f",
                                os.path.join(self.folder, name)], check=True)
        config = os.path.join(self.folder, "config")
        with open(config, "w") as out:
            out.write(CONFIG.format(port=self.port, folder=self.folder))
        checked = subprocess.run([sshd, "-t", "-f", config], capture_output=True, text=True)
        if checked.returncode:
            raise Unmeasured(f"sshd: {checked.stderr.strip()}")
        self.process = subprocess.Popen([*self.wrap, sshd, "-D", "-e", "-f", config],
                                        stderr=subprocess.DEVNULL)
        self.wait()

    def wait(self):
        deadline = time.monotonic() + 10 * uml.PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.01)
        self.close()
        raise Unmeasured("sshd does not listen")

    def command(self, text, *options):
        """The command that runs @text in a shell of this user."""
        words = [*self.wrap, self.ssh, "-F", "none", "-p", str(self.port),
                 "-i", os.path.join(self.folder, "key")]
        for option in (*OPTIONS, f"UserKnownHostsFile={self.folder}/known", *options):
            words += ["-o", option]
        return [*words, f"{pwd.getpwuid(os.geteuid()).pw_name}@127.0.0.1", text]

    def close(self):
        self.process.terminate()
        self.process.wait()
