#!/usr/bin/env python3
"""A second verifier of evidence bundles, written from docs/formats.md and C2SP's specifications alone.

It shares no code with Vedette. It checks everything in a bundle: the checkpoint and whose key signed it, the epochs' keys,
each source's chain of batches, the proofs that the log has them, each event's path to its batch, and that the event which
recorded the export says the same as the bundle. Needs Python 3.9 and the package `cryptography`.

usage: verify_evidence.py BUNDLE [log VKEY] [epoch0 HEX]     one problem a line; exit code 1 if there is any
"""

import base64
import json
import struct
import sys
import zipfile

from verify_ledger import DOMAIN, Cut, Reader, check_token, is_signed, sha256

MASK = 0xFFFFFFFF
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8


def blake3(*parts):
    """The hash of the BLAKE3 paper, section 2, of 32 bytes, without a key."""
    data = b"".join(parts)
    chunks = [data[at : at + 1024] for at in range(0, len(data), 1024)] or [b""]
    nodes = [_chunk(chunk, counter) for counter, chunk in enumerate(chunks)]
    while len(nodes) > 1:
        # A left subtree is a full one; folding neighbours gives that shape.
        pairs = [(_value(nodes[at]) + _value(nodes[at + 1])) for at in range(0, len(nodes) - 1, 2)]
        nodes = [(IV, struct.unpack("<16I", pair), 0, 64, PARENT) for pair in pairs] + nodes[len(nodes) & ~1 :]
    chaining, words, counter, length, flags = nodes[0]
    return struct.pack("<8I", *_compress(chaining, words, counter, length, flags | ROOT))


def _chunk(chunk, counter):
    """A chunk but for its last block, which depends on whether it is the root."""
    blocks = [chunk[at : at + 64] for at in range(0, len(chunk), 64)] or [b""]
    chaining = IV
    for number, block in enumerate(blocks):
        flags = (CHUNK_START if number == 0 else 0) | (CHUNK_END if number == len(blocks) - 1 else 0)
        node = (chaining, struct.unpack("<16I", block.ljust(64, b"\0")), counter, len(block), flags)
        if number < len(blocks) - 1:
            chaining = _compress(*node)
    return node


def _value(node):
    return struct.pack("<8I", *_compress(*node))


def _compress(chaining, words, counter, length, flags):
    v = [*chaining, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for turn in range(7):
        for at, (a, b, c, d) in enumerate(
            ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
        ):
            for word, far, near in ((words[2 * at], 16, 12), (words[2 * at + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & MASK
                v[d] = _turn(v[d] ^ v[a], far)
                v[c] = (v[c] + v[d]) & MASK
                v[b] = _turn(v[b] ^ v[c], near)
        words = [words[at] for at in ORDER]
    return [v[at] ^ v[at + 8] for at in range(8)]


def _turn(word, bits):
    return (word >> bits | word << (32 - bits)) & MASK


def root_of_path(hash_of, leaf, index, size, path):
    """RFC 9162, section 2.1.3.2; None if the path is of another place."""
    if index >= size:
        return None
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            value = hash_of(b"\1", sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = hash_of(b"\1", value, sibling)
        node, last = node >> 1, last >> 1
    return value if last == 0 else None


def is_consistent(old, new, proof):
    """RFC 9162, section 2.1.4.2: sizes and roots of two trees."""
    (first, first_root), (second, second_root) = old, new
    if first == second:
        return not proof and first_root == second_root
    if not 0 < first < second:
        return False
    path = ([first_root] if first & (first - 1) == 0 else []) + proof
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    left = right = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            left, right = sha256(b"\1", sibling, left), sha256(b"\1", sibling, right)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            right = sha256(b"\1", right, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and (left, right) == (first_root, second_root)


class Wrong(Exception):
    pass


STATEMENT = {"format", "id", "log_key", "created", "by", "query", "whole", "events", "digest", "custody", "sources"}
EVENT = {"source", "seq", "received", "path"}


def once(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise Wrong("a name is there twice in JSON")
    return dict(pairs)


def fields(value, needed, allowed, numbers):
    if not needed <= set(value) <= needed | allowed or any(type(value[name]) is not int for name in numbers):
        raise Wrong("JSON with other fields")
    return value


def lines(data):
    if data and not data.endswith("\n"):
        raise Wrong("the last line is cut")
    return data.split("\n")[:-1]


def from_hex(text):
    if text != text.lower() or not text.isalnum():
        raise Wrong("not hexadecimal")
    return bytes.fromhex(text)


class Bundle:
    def __init__(self, path, log=None, epoch0=None):
        self.zip = zipfile.ZipFile(path)
        self.unread = set(self.zip.namelist())
        if self.zip.comment or self.zip.start_dir and any(info.header_offset < 0 for info in self.zip.infolist()):
            raise Wrong("something is before or behind the members")
        if len(self.unread) != len(self.zip.namelist()):
            raise Wrong("a member is there twice")
        self.log, self.epoch0 = log, epoch0
        self.problems = []

    def problem(self, what):
        self.problems.append(what)

    def read(self, member):
        self.unread.discard(member)
        return self.zip.read(member)

    def lines(self, member):
        return [base64.b64decode(line, validate=True) for line in lines(self.read(member).decode())]

    def note(self, note, vkey):
        """The lines of a note that the key signed (C2SP signed-note)."""
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        origin, identity, material = vkey.split("+", 2)
        material = base64.b64decode(material, validate=True)
        if material[0] != 1 or sha256(origin.encode(), b"\n", material)[:4].hex() != identity:
            raise Wrong("the log's key is none")
        for line in signatures.splitlines():
            dash, signer, encoded = line.split(" ")
            signature = base64.b64decode(encoded, validate=True)
            if dash == "—" and signer == origin and signature[:4].hex() == identity:
                if is_signed(material[1:], text.encode(), signature[4:]):
                    lines = text.split("\n")
                    if lines[0] != origin:
                        raise Wrong("the checkpoint is of another log")
                    return int(lines[1]), base64.b64decode(lines[2], validate=True)
        raise Wrong("the log's key did not sign the checkpoint")

    def entry(self, data, kind):
        """Body, epoch, public key and chain hash of a signed entry of this kind."""
        reader = Reader(data)
        if reader.bytes(1) != b"\1" or reader.bytes(1) != bytes([kind]):
            raise Wrong("an entry of another kind")
        body = reader.bytes({1: 161, 2: 44, 6: 52}[kind])
        epoch, public = reader.number("I"), reader.bytes(32)
        message = DOMAIN + data[: reader.at]
        if not is_signed(public, message, reader.bytes(64)) or reader.at != len(data):
            raise Wrong("an entry that is not signed by the key that it names")
        return Reader(body), epoch, public, sha256(message)

    def keys(self):
        keys = []
        for data in self.lines("keys"):
            body, epoch, public, _ = self.entry(data, 2)
            number, certified = body.number("I"), body.bytes(32)
            signer = (len(keys) - 1, keys[-1]) if keys else (0, certified)
            if number != len(keys) or (epoch, public) != signer:
                raise Wrong("an epoch's key is not certified by the one before")
            keys.append(certified)
        if self.epoch0 and keys[0].hex() != self.epoch0:
            self.problem("the first epoch's key is another one")
        return keys

    def chain(self, source, names, keys):
        """Batches by first sequence number: algorithm, count, root, the entry."""
        batches, expected = {}, None
        for data in self.lines(f"batches/{source}"):
            body, epoch, public, chain_hash = self.entry(data, 1)
            algorithm, number, commitment = body.number("B"), body.number("I"), body.bytes(32)
            first, count = body.number("Q"), body.number("I")
            root, _, before = body.bytes(32), body.bytes(32), body.bytes(32)
            if number != source or algorithm not in (1, 2) or count == 0:
                raise Wrong(f"source {source}: an entry of another source")
            if epoch >= len(keys) or keys[epoch] != public:
                raise Wrong(f"batch {source}-{first}: signed by a key that is not its epoch's")
            if expected is not None and (first, before) != expected:
                raise Wrong(f"batch {source}-{first}: does not follow the one before")
            if commitment not in names:
                self.problem(f"batch {source}-{first}: the source has another name")
            self.used.add((source, commitment))
            batches[first] = (algorithm, count, root, data, commitment)
            expected = (first + count, chain_hash)
        return batches

    def prove(self, source, batches, note, tree):
        """The first sequence numbers of the batches that are proved to be in the log (C2SP tlog-proof)."""
        proved = set()
        for first, (_, _, _, data, _) in batches.items():
            member = f"proofs/{source}-{first}.tlog-proof"
            if member in self.unread:
                self.is_logged(member, data, note, tree)
                proved.add(first)
        if batches and max(batches) not in proved:
            self.problem(f"batch {source}-{max(batches)}: nothing proves that the log has it")
        return proved

    def is_logged(self, member, data, note, tree):
        head, _, about = self.read(member).decode().partition("\n\n")
        header, index, *path = head.split("\n")
        if header != "c2sp.org/tlog-proof@v1" or not index.startswith("index ") or about != note:
            raise Wrong(f"{member}: not a proof for the bundle's checkpoint")
        path = [base64.b64decode(line, validate=True) for line in path]
        if root_of_path(sha256, sha256(b"\0", data), int(index[6:]), tree[0], path) != tree[1]:
            raise Wrong(f"{member}: does not lead to the root")

    def is_erased(self, source, seq, leaf, keys, note, tree):
        """The log says that the event with this leaf was erased."""
        member = f"erasures/{source}-{seq}"
        (data,) = self.lines(member)
        body, epoch, public, _ = self.entry(data, 6)
        body.bytes(8)
        if (body.number("I"), body.number("Q"), body.bytes(32)) != (source, seq, leaf) or keys[epoch] != public:
            raise Wrong(f"{member}: does not say that this event was erased")
        self.is_logged(f"{member}.tlog-proof", data, note, tree)

    def anchors(self, vkey, tree):
        """Anchors: checkpoints that are beginnings of the bundle's, and tokens about them."""
        for member in sorted(name for name in self.unread if name.startswith("anchors/") and name.endswith(".checkpoint")):
            size = int(member[len("anchors/") : -len(".checkpoint")])
            checkpoint = self.read(member)
            old = self.note(checkpoint.decode(), vkey)
            proof = [base64.b64decode(line, validate=True) for line in self.read(f"anchors/{size}.consistency").decode().split()]
            if old[0] != size or not is_consistent(old, tree, proof):
                raise Wrong(f"{member}: of another history")
            for token in sorted(name for name in self.unread if name.startswith(f"anchors/{size}-")):
                check_token(self.read(token), sha256(checkpoint))

    def event(self, event, chains, proved):
        source, seq = event["source"], event["seq"]
        batches = chains.get(source, {})
        first = max((first for first in batches if first <= seq), default=None)
        if first is None or seq - first >= batches[first][1] or (source, first) not in proved:
            return "no proved batch has it", None, None
        algorithm, count, root, _, commitment = batches[first]
        hash_of = blake3 if algorithm == 1 else sha256
        original = event["original"].encode() if "original" in event else None
        if "original_base64" in event:
            if original is not None:
                return "its bytes are there twice", None, None
            original = base64.b64decode(event["original_base64"], validate=True)
        if original is not None and "leaf" not in event:
            salt = from_hex(event["salt"])
            if len(salt) != 16:
                return "its salt has another length", None, None
            leaf = hash_of(b"\0", salt, struct.pack("<Qq", seq, event["received"]), original)
        elif original is None and "salt" not in event:
            leaf = from_hex(event["leaf"])
        else:
            return "neither an event nor an erased one", None, None
        path = [from_hex(sibling) for sibling in event["path"]]
        if root_of_path(hash_of, leaf, seq - first, count, path) != root:
            return "not what was signed", None, None
        return None, commitment, leaf if original is None else None

    def run(self):
        statement = json.loads(self.read("evidence.json"), object_pairs_hook=once)
        fields(statement, STATEMENT, {"from", "to"}, ("format", "events"))
        if statement["format"] != 1:
            raise Wrong("another version")
        if self.log and self.log != statement["log_key"]:
            self.problem("the log's key is another one")
        note = self.read("checkpoint").decode()
        tree = self.note(note, self.log or statement["log_key"])
        keys = self.keys()
        self.anchors(statement["log_key"], tree)
        names, own = {}, set()
        self.used = set()
        for named in statement["sources"]:
            fields(named, {"source", "name", "receiver", "salt"}, set(), ("source",))
            parts = [b"\3", named["salt"].encode(), named["name"].encode(), b"\0", named["receiver"].encode()]
            names.setdefault(named["source"], set()).add(sha256(*parts))
            if (named["name"], named["receiver"]) == ("vedette:self", "vedette"):
                own.add((named["source"], sha256(*parts)))
        chains = {source: self.chain(source, known, keys) for source, known in names.items()}
        proved = {(source, first) for source, batches in chains.items() for first in self.prove(source, batches, note, tree)}
        if len(self.used) != len(statement["sources"]):
            self.problem("a source is named that no batch is of")
        seen, right, custody = set(), [], None
        for line in lines(self.read("events.jsonl").decode()):
            event = json.loads(line, object_pairs_hook=once)
            fields(event, EVENT, {"salt", "leaf", "original", "original_base64"}, ("source", "seq", "received"))
            name = f"{event['source']}-{event['seq']}"
            wrong, commitment, erased = self.event(event, chains, proved)
            if name in seen:
                wrong = "there twice"
            seen.add(name)
            if wrong:
                self.problem(f"event {name}: {wrong}")
                continue
            if erased:
                self.is_erased(event["source"], event["seq"], erased, keys, note, tree)
            if name != statement["custody"]:
                right.append((event["source"], event["seq"]))
            elif (event["source"], commitment) in own:
                custody = json.loads(event["original"])
        ids = "".join(f"{source}-{seq}\n" for source, seq in sorted(right))
        if sha256(ids.encode()).hex() != statement["digest"]:
            self.problem("other events were exported")
        if custody is None:
            raise Wrong("the event that recorded the export is not there")
        if len(seen) != statement["events"] + 1:
            self.problem(f"{statement['events'] + 1} events were exported, {len(seen)} are there")
        said = {
            "event.action": "evidence.export",
            "vedette.target": statement["id"],
            "@timestamp": statement["created"],
            "user.name": statement["by"],
            "vedette.query": statement["query"],
            "vedette.from": statement.get("from"),
            "vedette.to": statement.get("to"),
            "vedette.whole": str(statement["whole"]).lower(),
            "vedette.events": str(statement["events"]),
            "vedette.digest": statement["digest"],
        }
        for field, stated in said.items():
            if custody.get(field) != stated:
                self.problem(f"the event that recorded the export says another {field}")
        if statement["whole"]:
            for source in {name.partition("-")[0] for name in seen - {statement["custody"]}}:
                numbers = [int(name.partition("-")[2]) for name in seen - {statement["custody"]} if name.startswith(f"{source}-")]
                if len(numbers) != max(numbers) - min(numbers) + 1:
                    self.problem(f"source {source}: exported as a whole, and events are missing")
        for member in sorted(self.unread):
            self.problem(f"{member}: nothing needs it, and nothing proves it")


def main():
    pinned = dict(zip(sys.argv[2::2], sys.argv[3::2]))
    problems = []
    try:
        bundle = Bundle(sys.argv[1], pinned.get("log"), pinned.get("epoch0"))
        problems = bundle.problems
        bundle.run()
    except (Wrong, Cut, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, zipfile.BadZipFile, struct.error) as error:
        problems.append(f"{type(error).__name__}: {error}")
    for what in problems:
        print(what)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
