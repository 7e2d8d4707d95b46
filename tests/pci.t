#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""PCI devices of vhost-user servers: configuration, BARs, interrupts, DMA; and servers that lie.

It runs in the kernel that checks itself, unless that under test is configured with what it takes.

PCI_SEEDS: how many configuration spaces of noise are tried, one a boot.
"""
import os
import random
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml
import vhost

uml.require()
uml.build("../build/tests/guest/pci_endpoint")
KERNEL = uml.kernel_with("CONFIG_UML_PCI_OVER_VIRTIO=y", "CONFIG_PCI_ENDPOINT_TEST=y",
                         "CONFIG_SERIAL_8250_PCI=y")
NUMBER = re.search(r"^CONFIG_UML_PCI_OVER_VIRTIO_DEVICE_ID=(\d+)$", uml.configuration(KERNEL),
                   re.M).group(1)
SOCKETS = iter(range(1000))
AT = "/sys/bus/pci/devices/0000:00:00.0"


def socket_name():
    return uml.scratch(f"socket{next(SOCKETS)}")


def boot(script, *servers, **how):
    """A guest with the devices of @servers. KUnit would provoke warnings of its own."""
    devices = [f"virtio_uml.device={server.listener.getsockname()}:{NUMBER}" for server in servers]
    result = uml.run(script, mem="128M", arguments=["kunit.enable=0", *devices], linux=KERNEL,
                     timeout=60, **how)
    for server in servers:
        server.close()
    return result


# Found, and its configuration space
device = vhost.PciDevice(socket_name())
result = boot(f"""
    cd {AT} || exit 1
    cat vendor device class resource
    printf '\\xa5' | dd of=config bs=1 seek=60 conv=notrunc 2>/dev/null
    for size in 1 2 4; do
        dd if=config bs=$size count=$((64 / size)) 2>/dev/null | od -v -A n -t x1
    done
    ls resource0
    exit 0""", device)
tap.ok(result.status == 0 and "0x1234\n0x5678\n0x070002\n" in result.output,
       "a PCI device over virtio is found", result.tail)
tap.ok("0x00000000c0000000 0x00000000c0000fff" in result.output and
       device.space[0x10:0x14] == b"\0\0\0\xc0", "its BAR gets an address", result.tail)
read = bytes.fromhex("".join(re.findall(r"^(?: [0-9a-f]{2})+$", result.output, re.M)))
tap.equal(read, bytes(device.space[:64]) * 3,
          "its configuration space is read by bytes, halves and words through sysfs", result.tail)
tap.equal(device.space[0x3c], 0xa5, "and written", result.tail)
tap.ok("resource0: No such file" in result.output,
       "a BAR, which is no memory, is not offered to programs for mapping", result.tail)
uml.clean(result)

# Everything that Linux's own driver for testing endpoints asks of a device
endpoint = vhost.PciEndpoint(socket_name())
result = boot(f"pci_endpoint; status=$?; cat {AT}/resource; exit $status", endpoint,
              files={"bin/pci_endpoint": uml.built("guest/pci_endpoint")})
program = uml.Program("pci_endpoint", "")
program.output, program.status = result.output, result.status
uml.report(program)
tap.equal([endpoint.raised.count(kind) for kind in range(3)], [1 + 15, 32 + 15, 64 + 15],
          "each interrupt was sent once, in the way that was chosen")
tap.ok("0x0000100000000000 0x00001000001fffff" in result.output,
       "a BAR with a 64-bit address lies above all RAM", result.tail)
uml.clean(result)

# A driver that is used every day
for kind, how in ((vhost.PciSerial, "INTA"), (vhost.PciSerialMsi, "MSI")):
    port = kind(socket_name())

    def feed(instance):
        if instance.expect("^PORT-READY$", 30):
            port.feed(b"from the wire\n")

    result = boot("""
        exec 3<>/dev/ttyS0
        stty -F /dev/ttyS0 raw -echo
        echo to the wire >&3
        echo PORT-READY
        timeout 30 head -n 1 <&3
        exit 0""", port, drive=feed, terminal=True)
    tap.ok(result.status == 0 and port.sent == b"to the wire\n"
           and "from the wire" in result.output and
           (how != "MSI" or port.messages),
           f"a serial port on PCI sends and receives: registers in a BAR, {how} as messages",
           result.tail)
    uml.clean(result)

# Several, which come and go
endpoint, device = vhost.PciEndpoint(socket_name()), vhost.PciDevice(socket_name())
result = boot("""
    ls /sys/bus/pci/devices
    cd /sys/bus/virtio/drivers/pci-virtio
    for i in 1 2 3; do
        for gone in virtio0 virtio1; do
            echo $gone >unbind; ls /sys/bus/pci/devices
            [ ! -e /dev/pci-endpoint-test.0 ] && echo no-endpoint
            echo $gone >bind
        done
    done
    ls /sys/bus/pci/devices
    pci_endpoint >/tmp/said && echo works-after-all
    exit 0""", endpoint, device, files={"bin/pci_endpoint": uml.built("guest/pci_endpoint")})
counts = [result.output.count(word) for word in ("0000:00:00.0", "0000:00:01.0", "no-endpoint")]
tap.ok(counts == [5, 5, 3] and
       "works-after-all" in result.output,
       "two devices are on the bus, each is taken off and put back, and works then", result.tail)
uml.clean(result)


# Servers that lie

def told(result):
    """Lines of the log about the device that complain."""
    return [line for line in result.log.splitlines() if re.search(r"virtio0: |virtio_uml: ", line)]


def survives(server, sentence, line, script="", count=1):
    """The guest boots with it and says @line, the first of @count about the device."""
    result = boot(f"cat {AT}/config | wc -c; {script}\nexit 0", server)
    lines = told(result)
    tap.ok(result.status == 0 and len(lines) == count and re.search(line, lines[0]), sentence,
           lambda: "\n".join(lines) + "\n" + result.tail())
    uml.clean(result)
    return result


class Short(vhost.PciDevice):
    """Gives half of what it is asked for beyond the header of the configuration space."""

    def serve(self, ring, out, room):
        op, address = out[0], struct.unpack_from("<Q", out, 8)[0]
        answer = super().serve(ring, out, room)
        return answer[:room // 2] if op == 1 and address >= 0x40 else answer


class Long(vhost.PciDevice):
    """Claims to have given more than there was room for."""

    def used(self, ring, head, length):
        super().used(ring, head, length + 0xfffffff)


class Nonsense(vhost.PciDevice):
    """Ends a message that was never sent."""

    def used(self, ring, head, length):
        super().used(ring, 0x7ffffff0, length)


class Mute(vhost.PciDevice):
    """Answers the first messages only."""

    left = 20

    def give(self, ring, head, data, room):
        self.left -= 1
        if self.left >= 0:
            super().give(ring, head, data, room)


class Quitter(Mute):
    """Hangs up instead of an answer."""

    def give(self, ring, head, data, room):
        super().give(ring, head, data, room)
        if self.left < 0:
            raise EOFError


class Nobody(vhost.PciDevice):
    """A device that reads as none."""

    def serve(self, ring, out, room):
        return b"\xff" * room


class Noise(vhost.PciDevice):
    """Configuration space and BARs hold what chance gives, something else each time."""

    def __init__(self, path, seed):
        self.chance = random.Random(seed)
        super().__init__(path)

    def serve(self, ring, out, room):
        op, _, _, size, address = struct.unpack_from("<BBHIQ", out)
        if op == 1 and address < 4:
            return bytes(self.space[address:address + size])
        if self.ring[1].kick and self.chance.randrange(3) == 0:
            self.noise()
        return self.chance.randbytes(room)

    def noise(self):
        """A message about an interrupt that cannot be, or that nobody asked for."""
        chance = self.chance
        op = chance.choice((0, 6, 6, 7, 7, 8, 255))
        size = chance.choice((0, 1, 2, 4, 8, 0xffffffff))
        address = chance.choice((0, 1, 2, 4, 5, 0xfee00000, 0xfee00000, chance.getrandbits(64)))
        data = chance.choice((chance.randrange(100), chance.getrandbits(32))).to_bytes(4, "little")
        head = self.take(self.ring[1])
        if head is not None:
            _, room = self.chain(self.ring[1], head)
            message = struct.pack("<BBHIQ", op, 0, 0, size, address) + data
            self.give(self.ring[1], head, message[:chance.randrange(25)], room)


class Liar(vhost.PciDevice):
    """After its probe: ends on the ring for interrupts what was never offered."""

    def write_config(self, address, data):
        super().write_config(address, data)
        if address == 0x3c and data[0] == 0xa5:
            self.used(self.ring[1], 0x7ffffff0, 16)


result = survives(Short(socket_name()), "half an answer is said in one line",
                  "answers with 2 bytes where 4 are asked for",
                  script=f"dd if={AT}/config bs=4 skip=16 count=1 2>/dev/null | od -A n -t x1")
tap.ok("\n 00 00 ff ff\n" in result.output, "and what is missing reads as ones", result.tail)
survives(Long(socket_name()), "an answer that claims to be too long is said in one line",
         "bytes where 4 are asked for")
survives(Nonsense(socket_name()), "an answer to nothing ends the device in one line",
         "out of range")
survives(Mute(socket_name()), "a device that says no more is given up in one line",
         "does not answer within a second: it is dead")
survives(Quitter(socket_name()), "a server that goes away within a message is told in one line",
         "is gone")
survives(Nobody(socket_name()), "a server without a device behind it is told in one line",
         "shows no PCI device")
survives(Liar(socket_name()),
         "an interrupt message in a place that was not offered ends the device", "out of range",
         count=2,
         script=f"printf '\\xa5' | dd of={AT}/config bs=1 seek=60 conv=notrunc 2>/dev/null")
for seed in range(int(os.environ.get("PCI_SEEDS", "3"))):
    server = Noise(socket_name(), seed)
    result = boot(f"""
        for i in 1 2 3; do cat {AT}/config | wc -c; done
        echo 1 >{AT}/enable
        exit 0""", server)
    tap.ok(result.status == 0, f"noise of a device harms nobody else (seed {seed})", result.tail)
    uml.clean(result)
tap.done()
