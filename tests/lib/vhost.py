# SPDX-License-Identifier: GPL-2.0-or-later
"""A small vhost-user server, to be the other half of virtio_uml in tests: a disk in memory, a PCI
device, and bad manners.

    peer = vhost.Disk(path, sectors=2048)     # listens at once, serves in a thread
    ...                                       # boot with virtio_uml.device=<path>:2
    peer.close()

A subclass answers one request of a ring in serve(ring, out, room): @out is what the guest sent,
@room how many bytes it has room for; the result is what it gets. Message layout and numbers:
docs/interop/vhost-user.rst of QEMU.
"""
import array
import contextlib
import mmap
import os
import select
import socket
import struct
import threading
import zlib

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES = 12, 13, 15, 16
GET_QUEUE_NUM, SET_VRING_ENABLE, SET_BACKEND_REQ_FD, GET_CONFIG, SET_CONFIG = 17, 18, 21, 24, 25
BACKEND_CONFIG_CHANGE = 2

F_VERSION_1, F_PROTOCOL_FEATURES = 1 << 32, 1 << 30
P_MQ, P_REPLY_ACK, P_BACKEND_REQ, P_CONFIG = 1 << 0, 1 << 3, 1 << 5, 1 << 9
NEXT, WRITE = 1, 2


class Ring:
    """One virtqueue as the server sees it."""

    def __init__(self):
        self.size = self.base = 0
        self.desc = self.used = self.avail = 0
        self.kick = self.call = None
        self.waiting = []       # heads that the server keeps for later


class Peer:
    """A server with one connection; its thread ends with the connection or close()."""

    features = F_VERSION_1 | F_PROTOCOL_FEATURES
    protocol = P_REPLY_ACK | P_CONFIG | P_MQ | P_BACKEND_REQ
    rings = 1

    def __init__(self, path):
        self.config = bytearray(256)
        self.ring = [Ring() for _ in range(self.rings)]
        # Guest RAM, and the same in units of 16 bits: indexes of rings are written by one store,
        # while struct.pack_into() writes zeros first, which the guest may see.
        self.memory = self.halves = None
        self.ram = None         # descriptor of guest RAM
        self.backend = None     # socket for requests of our own
        self.requests = []      # what the guest's kernel asked for, in order
        self.lock = threading.Lock()
        self.stop, self.stopper = os.pipe()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        """Hang up."""
        with contextlib.suppress(OSError):
            os.write(self.stopper, b".")
        self.thread.join(5)

    # The connection

    def run(self):
        with contextlib.suppress(ConnectionError, OSError, EOFError, struct.error):
            ready, _, _ = select.select([self.listener, self.stop], [], [])
            if self.stop not in ready:
                self.socket, _ = self.listener.accept()
                self.talk()
        self.listener.close()
        if hasattr(self, "socket"):
            self.socket.close()
        if self.backend:
            self.backend.close()
        if self.ram is not None:
            os.close(self.ram)

    def talk(self):
        while True:
            kicks = {ring.kick: ring for ring in self.ring if ring.kick is not None}
            ready, _, _ = select.select([self.stop, self.socket, *kicks], [], [])
            if self.stop in ready:
                return
            if self.socket in ready:
                self.one_request()
                continue
            for fd in ready:
                os.read(fd, 8)
                self.work(kicks[fd])

    def receive(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def one_request(self):
        header, fds = b"", array.array("i")
        header, control, _, _ = self.socket.recvmsg(12, socket.CMSG_SPACE(4 * 8))
        for _, _, data in control:
            fds.frombytes(data[:len(data) // 4 * 4])
        if not header:
            raise EOFError
        header += self.receive(12 - len(header))
        request, flags, size = struct.unpack("<III", header)
        payload = self.receive(size)
        self.requests.append(request)
        answer = self.answer(request, payload, list(fds))
        if answer is None and flags & 8:
            answer = struct.pack("<Q", 0)
        if answer is not None:
            self.reply(request, answer)

    def reply(self, request, answer):
        """Send an answer; the tests of bad manners replace this."""
        self.socket.sendall(struct.pack("<III", request, 5, len(answer)) + answer)

    def answer(self, request, payload, fds):
        if request == GET_FEATURES:
            return struct.pack("<Q", self.features)
        if request == GET_PROTOCOL_FEATURES:
            return struct.pack("<Q", self.protocol)
        if request == GET_QUEUE_NUM:
            return struct.pack("<Q", self.rings)
        if request == GET_CONFIG:
            offset, size, flags = struct.unpack_from("<III", payload)
            return payload[:12] + bytes(self.config[offset:offset + size])
        if request == SET_CONFIG:
            offset, size, flags = struct.unpack_from("<III", payload)
            self.config[offset:offset + size] = payload[12:]
        elif request == SET_MEM_TABLE:
            _, _, _, size, self.user, offset = struct.unpack("<IIQQQQ", payload)
            self.memory = mmap.mmap(fds[0], size, offset=offset)
            self.halves = memoryview(self.memory).cast("H")
            self.ram = fds[0]
        elif request == SET_BACKEND_REQ_FD:
            self.backend = socket.socket(fileno=fds[0])
        elif request in (SET_VRING_KICK, SET_VRING_CALL):
            ring = self.ring[payload[0]]
            if request == SET_VRING_KICK:
                ring.kick = fds[0]
            else:
                ring.call = fds[0]
        elif request == SET_VRING_ADDR:
            index, _, desc, used, avail, _ = struct.unpack("<IIQQQQ", payload)
            ring = self.ring[index]
            ring.desc, ring.used, ring.avail = (address - self.user
                                                for address in (desc, used, avail))
        elif request in (SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE):
            index, number = struct.unpack("<II", payload)
            ring = self.ring[index]
            if request == SET_VRING_NUM:
                ring.size = number
            elif request == SET_VRING_BASE:
                ring.base = number
            elif request == GET_VRING_BASE:
                if ring.kick is not None:
                    os.close(ring.kick)
                ring.kick = None
                return struct.pack("<II", index, ring.base & 0xffff)
        return None

    # Rings

    def chain(self, ring, head):
        """The request at @head: (bytes sent, [(address, length) of room])."""
        out, room = b"", []
        while True:
            address, length, flags, following = struct.unpack_from("<QIHH", self.memory,
                                                                   ring.desc + 16 * head)
            if flags & WRITE:
                room.append((address, length))
            else:
                out += self.memory[address:address + length]
            if not flags & NEXT:
                return out, room
            head = following

    def take(self, ring):
        """Head of the next request of the guest, or None."""
        if ring.base & 0xffff == self.halves[ring.avail // 2 + 1]:
            return None
        head, = struct.unpack_from("<H", self.memory, ring.avail + 4 + 2 * (ring.base % ring.size))
        ring.base += 1
        return head

    def give(self, ring, head, data, room):
        """End a request with @data."""
        length = len(data)
        for address, space in room:
            part, data = data[:space], data[space:]
            self.memory[address:address + len(part)] = part
        self.used(ring, head, length)

    def used(self, ring, head, length):
        index = self.halves[ring.used // 2 + 1]
        struct.pack_into("<II", self.memory, ring.used + 4 + 8 * (index % ring.size), head, length)
        self.halves[ring.used // 2 + 1] = (index + 1) & 0xffff
        os.write(ring.call, struct.pack("<Q", 1))

    def work(self, ring):
        while (head := self.take(ring)) is not None:
            out, room = self.chain(ring, head)
            self.give(ring, head, self.serve(ring, out, sum(length for _, length in room)), room)


class Disk(Peer):
    """virtio-blk, id 2: @sectors of memory; requests: 16-byte header, data, status byte."""

    def __init__(self, path, sectors=2048):
        self.data = bytearray(sectors * 512)
        super().__init__(path)
        struct.pack_into("<Q", self.config, 0, sectors)

    def serve(self, ring, out, room):
        kind, _, sector = struct.unpack_from("<IIQ", out)
        if kind == 0:
            return bytes(self.data[sector * 512:sector * 512 + room - 1]) + b"\0"
        if kind == 1:
            self.data[sector * 512:sector * 512 + len(out) - 16] = out[16:]
        return bytes(room - 1) + (b"\0" if kind in (0, 1, 4) else b"\2")


class PciDevice(Peer):
    """<linux/virtio_pcidev.h>: a PCI device with memory BARs; rings 0 commands, 1 interrupts."""

    rings = 2
    bars = {0: 4096}        # sizes
    wide = ()               # those of them that have addresses of 64 bits, and so two registers

    def __init__(self, path, vendor=0x1234, device=0x5678, pci_class=0x070002):
        self.space = bytearray(256)
        self.bar = {number: bytearray(size) for number, size in self.bars.items()}
        self.operations = set()         # that were asked for
        struct.pack_into("<HHHHI", self.space, 0, vendor, device, 0, 0, pci_class << 8)
        self.space[0x3d] = 1            # INTA
        for number in self.wide:
            self.space[0x10 + 4 * number] = 0xc
        super().__init__(path)

    def capabilities(self, *these):
        """Chain @these, a list of (address, bytes), into the configuration space."""
        self.space[6] |= 0x10
        link = 0x34
        for address, data in these:
            self.space[link] = address
            self.space[address:address + len(data)] = data
            link = address + 1

    def work(self, ring):
        if ring is self.ring[0]:
            super().work(ring)

    def interrupt(self, op, address, data=b""):
        """Send one of the interrupt messages."""
        ring = self.ring[1]
        head = self.take(ring)
        _, room = self.chain(ring, head)
        self.give(ring, head, struct.pack("<BBHIQ", op, 0, 0, len(data), address) + data, room)

    def serve(self, ring, out, room):
        op, bar, _, size, address = struct.unpack_from("<BBHIQ", out)
        data = out[16:]
        self.operations.add(op)
        if op == 1:
            return bytes(self.space[address:address + size]).ljust(size, b"\0")
        if op == 2:
            self.write_config(address, data)
        elif op == 3:
            return self.read_bar(bar, address, size)
        elif op == 4:
            self.write_bar(bar, address, data)
        elif op == 5:
            self.write_bar(bar, address, data[:1] * size)
        return b""

    def write_config(self, address, data):
        if 0x10 <= address < 0x28:
            wanted, = struct.unpack("<I", data)
            struct.pack_into("<I", self.space, address,
                             self.bar_address((address - 0x10) // 4, wanted))
        elif address in (0x04, 0x3c):
            self.space[address:address + len(data)] = data

    def bar_address(self, number, wanted):
        """What the register holds after @wanted was written to it."""
        if number in self.bars:
            return wanted & -self.bars[number] & 0xfffffff0 | (0xc if number in self.wide else 0)
        return wanted if number - 1 in self.wide else 0

    def read_bar(self, bar, address, size):
        return bytes(self.bar[bar][address:address + size])

    def write_bar(self, bar, address, data):
        self.bar[bar][address:address + len(data)] = data


class PciEndpoint(PciDevice):
    """What Linux's pci_endpoint_test drives: registers in BAR 0 by which it is told to raise
    interrupts and to copy guest RAM."""

    bars = {0: 8192, 1: 256, 2: 1 << 16, 4: 2 << 20}
    wide = (4,)
    MSI, MSIX, TABLE, VECTORS = 0x40, 0x60, 4096, 64

    def __init__(self, path):
        self.raised = []            # by kind: 0 INTA, 1 MSI, 2 MSI-X
        super().__init__(path, 0x16c3, 0xedda, 0xff0000)

    def run(self):
        table = struct.pack("<BBHII", 0x11, 0, self.VECTORS - 1, self.TABLE, self.TABLE + 2048)
        self.capabilities((self.MSI, struct.pack("<BBHQHH", 5, 0, 0x80 | 5 << 1, 0, 0, 0)),
                          (self.MSIX, table))
        super().run()

    def write_config(self, address, data):
        super().write_config(address, data)
        if self.MSI + 2 <= address < self.MSI + 16 or address == self.MSIX + 2:
            self.space[address:address + len(data)] = data

    def write_bar(self, bar, address, data):
        super().write_bar(bar, address, data)
        if (bar, address, len(data)) == (0, 4, 4):
            self.obey(*struct.unpack("<I", data))

    def obey(self, command):
        """Registers from 12 on: from, to, size, checksum, kind and number of interrupt."""
        registers = self.bar[0]
        source, target, size, checksum, kind, number = struct.unpack_from("<QQIIII", registers, 12)
        status = 0x40
        if command & 8:
            found = ~zlib.crc32(self.memory[source:source + size]) & 0xffffffff
            status |= 1 if found == checksum else 2
        if command & 16:
            data = os.urandom(size)
            self.memory[target:target + size] = data
            struct.pack_into("<I", registers, 0x20, ~zlib.crc32(data) & 0xffffffff)
            status |= 4
        if command & 32:
            self.memory[target:target + size] = self.memory[source:source + size]
            status |= 16
        struct.pack_into("<I", registers, 8, status)
        self.raise_interrupt(kind, number - 1)

    def raise_interrupt(self, kind, number):
        self.raised.append(kind)
        if kind == 0:
            self.interrupt(6, 1)
        elif kind == 1 and self.space[self.MSI + 2] & 1:
            address, data = struct.unpack_from("<QH", self.space, self.MSI + 4)
            self.interrupt(7, address, struct.pack("<H", data + number))
        elif kind == 2 and self.space[self.MSIX + 3] & 0x80:
            entry = self.TABLE + 16 * number
            address, data, masked = struct.unpack_from("<QII", self.bar[0], entry)
            if not masked & 1:
                self.interrupt(7, address, struct.pack("<I", data))


class PciSerial(PciDevice):
    """A serial port that Linux's 8250_pci knows (CE4100): registers of an XScale UART, 4 bytes
    apart, and INTA."""

    ids, shift = (0x8086, 0x2e66), 2

    def __init__(self, path):
        self.sent, self.waiting = b"", b""
        self.registers = [0] * 8
        super().__init__(path, *self.ids)

    def raise_line(self):
        self.interrupt(6, 1)

    def pending(self):
        """What IIR says: 4 something came in, 2 it may send, 1 nothing."""
        if self.registers[1] & 1 and self.waiting:
            return 4
        return 2 if self.registers[1] & 2 else 1

    def feed(self, data):
        """Bytes from the wire."""
        self.waiting += data
        self.raise_line()

    def read_bar(self, bar, address, size):
        register, value = address >> self.shift, 0
        if self.registers[3] & 0x80 and register < 2:
            value = 1                           # divisor
        elif register == 0:
            value, self.waiting = (self.waiting or b"\0")[0], self.waiting[1:]
        elif register == 2:
            value = self.pending() | 0xc0
        elif register == 5:
            value = 0x60 | bool(self.waiting)
        elif register == 6:
            value = 0x90 if self.registers[4] & 0x10 else 0xb0
        elif register < 8:
            value = self.registers[register]
        return value.to_bytes(4, "little")[:size]

    def write_bar(self, bar, address, data):
        register = address >> self.shift
        if self.registers[3] & 0x80 and register < 2:
            return
        if register == 0:
            self.sent += data[:1]
        elif register < 8:
            self.registers[register] = data[0]
        if register < 2 and self.pending() != 1:
            self.raise_line()


class PciSerialMsi(PciSerial):
    """Another (NetMos 9900), a 16550A with registers side by side, and MSI."""

    ids, shift = (0x9710, 0x9900), 0

    def __init__(self, path):
        super().__init__(path)
        self.messages = 0

    def run(self):
        struct.pack_into("<HH", self.space, 0x2c, 0xa000, 0x1000)
        self.capabilities((0x40, b"\5\0\x80\0"))  # MSI with 64-bit address
        super().run()

    def write_config(self, address, data):
        super().write_config(address, data)
        if 0x42 <= address < 0x4e:
            self.space[address:address + len(data)] = data

    def raise_line(self):
        if self.space[0x42] & 1:
            address, number = struct.unpack_from("<QH", self.space, 0x44)
            self.interrupt(7, address, struct.pack("<H", number))
            self.messages += 1
