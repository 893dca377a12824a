#!/usr/bin/env python3
"""A second verifier of the ledger in a data folder, written from docs/formats.md and C2SP's specifications alone.

It shares no code with Vedette. It checks the log (checkpoint, tiles, entries, epochs, chains of batches, names of sources) and the
anchors: that their checkpoints are beginnings of the log and that their tokens (RFC 3161) are about these and signed by a
certificate for time stamps. Whose certificate that is, it does not ask: `openssl ts -verify -CAfile` does. The events themselves
are `vedette verify`'s. Needs Python 3.9 and the package `cryptography`.

usage: verify_ledger.py DATA_FOLDER     one problem a line; exit code 1 if there is any
"""

import base64
import hashlib
import json
import struct
import sys
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH = 256
DOMAIN = b"vedette ledger entry v1\n"

# Object identifiers in DER.
TST_INFO = bytes.fromhex("2a864886f70d0109100104")
CONTENT_TYPE, MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010903"), bytes.fromhex("2a864886f70d010904")
ESS, ESS_V2 = bytes.fromhex("2a864886f70d010910020c"), bytes.fromhex("2a864886f70d010910022f")
HASHES = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(leaves):
    """RFC 6962, section 2.1."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", root_of(leaves[:middle]), root_of(leaves[middle:]))


def is_signed(public, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


def tile_path(level, index, width):
    """C2SP tlog-tiles, Merkle Tree."""
    digits = f"{index:03}"
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([f"x{group}" for group in groups[:-1]] + [groups[-1]])
    return f"tile/{level}/{path}" + ("" if width == WIDTH else f".p/{width}")


class Cut(Exception):
    pass


def elements(data):
    """The elements of DER one after the other: tag, contents, all bytes."""
    at, found = 0, []
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[at + 2 : start], "big")
        if start + length > len(data):
            raise Cut
        found.append((tag, data[start : start + length], data[at : start + length]))
        at = start + length
    return found


def inside(element, *tags):
    """What is in an element with one of these tags, by default a SEQUENCE."""
    if element[0] not in (tags or (0x30,)):
        raise ValueError(f"tag {element[0]:#x} in a token")
    return elements(element[1])


def digest(algorithm, data):
    hasher = hashes.Hash(algorithm)
    hasher.update(data)
    return hasher.finalize()


def is_signed_by(key, algorithm, message, signature):
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(algorithm))
        else:
            key.verify(signature, message)
        return True
    except InvalidSignature:
        return False


def check_token(reply, imprint):
    """An RFC 3161 reply: is its token about this hash, and signed by the certificate that it names?"""
    status, token = inside(elements(reply)[0])
    signed_data = inside(inside(token)[1], 0xA0)[0]
    _, algorithms, content, *rest, signers = inside(signed_data)
    if inside(status)[0][1] != b"\0" or inside(content)[0][1] != TST_INFO:
        raise ValueError("no token")
    info = inside(inside(content)[1], 0xA0)[0][1]
    algorithm, stamped = inside(inside(elements(info)[0])[2])
    if not isinstance(HASHES.get(inside(algorithm)[0][1]), hashes.SHA256) or stamped[1] != imprint:
        raise ValueError("the token is about something else")
    (signer,) = inside(signers, 0x31)
    _, _, algorithm, attributes, _, signature = inside(signer)[:6]
    if inside(algorithm)[0][1] not in [inside(named)[0][1] for named in inside(algorithms, 0x31)]:
        raise ValueError("the token does not name its hash")
    hasher = HASHES[inside(algorithm)[0][1]]
    signed = {}
    for attribute in inside(attributes, 0xA0):
        kind, values = inside(attribute)
        (signed[kind[1]],) = inside(values, 0x31)
    if signed[CONTENT_TYPE][1] != TST_INFO or signed[MESSAGE_DIGEST][1] != digest(hasher, info):
        raise ValueError("the token is not what was signed")
    named = []
    if ESS in signed:
        named.append((hashes.SHA1(), inside(inside(inside(signed[ESS])[0])[0])[0][1]))
    if ESS_V2 in signed:
        first = inside(inside(inside(signed[ESS_V2])[0])[0])
        by_default = first[0][0] == 0x04
        algorithm = hashes.SHA256() if by_default else HASHES[inside(first[0])[0][1]]
        named.append((algorithm, first[0 if by_default else 1][1]))
    certificates = [raw for field in rest if field[0] == 0xA0 for _, _, raw in elements(field[1])]
    (certificate,) = {raw for raw in certificates if named and all(digest(by, raw) == is_ for by, is_ in named)}
    certificate = x509.load_der_x509_certificate(certificate)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or list(usage.value) != [x509.oid.ExtendedKeyUsageOID.TIME_STAMPING]:
        raise ValueError("the certificate is not one for time stamps")
    # RFC 5652, section 5.4: what is signed has the tag of a SET.
    if not is_signed_by(certificate.public_key(), hasher, b"\x31" + attributes[2][1:], signature[1]):
        raise ValueError("the token's signature does not verify")


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, count):
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            raise Cut
        self.at += count
        return taken

    def number(self, form):
        return struct.unpack("<" + form, self.bytes(struct.calcsize("<" + form)))[0]


WRONG = (OSError, ValueError, KeyError, IndexError, Cut, x509.ExtensionNotFound, UnsupportedAlgorithm)


class Verifier:
    def __init__(self, folder):
        self.ledger = Path(folder) / "ledger"
        self.problems = []
        self.epoch = None
        self.chains = {}
        self.commitments = {}

    def problem(self, what):
        self.problems.append(what)

    def note(self, name, key):
        """A signed note (C2SP signed-note) that the key signed: its lines."""
        text, _, signatures = (self.ledger / name).read_bytes().decode().rpartition("\n\n")
        text += "\n"
        origin, identity, public = key
        for line in signatures.splitlines():
            dash, signer, encoded = line.split(" ")
            signature = base64.b64decode(encoded, validate=True)
            if dash == "—" and signer == origin and signature[:4] == identity:
                if is_signed(public, text.encode(), signature[4:]):
                    return text.split("\n")
        raise ValueError(f"{name}: the log's key did not sign it")

    def key(self):
        text = (self.ledger / "log.vkey").read_text().strip()
        origin, identity, material = text.split("+", 2)
        material = base64.b64decode(material, validate=True)
        if material[0] != 1 or sha256(origin.encode(), b"\n", material)[:4].hex() != identity:
            raise ValueError("log.vkey: not a key of this name")
        return origin, bytes.fromhex(identity), material[1:]

    def sources(self):
        for line in (self.ledger / "sources.jsonl").read_text().splitlines():
            named = json.loads(line)
            parts = [b"\3", named["salt"].encode(), named["name"].encode(), b"\0", named["receiver"].encode()]
            self.commitments.setdefault(named["source"], set()).add(sha256(*parts))

    def read(self, level, index, width):
        for width_there in (width, WIDTH):
            path = self.ledger / tile_path(level, index, width_there)
            if path.exists():
                return path.read_bytes()
        raise FileNotFoundError(tile_path(level, index, width))

    def entries(self, index, width):
        reader, entries = Reader(self.read("entries", index, width)), []
        while reader.at < len(reader.data) and len(entries) < width:
            entries.append(reader.bytes(int.from_bytes(reader.bytes(2), "big")))
        if len(entries) != width:
            raise Cut
        return entries

    def check_tiles(self, leaves):
        hashes, level = leaves, 0
        while hashes:
            for index in range((len(hashes) + WIDTH - 1) // WIDTH):
                tile = hashes[index * WIDTH : (index + 1) * WIDTH]
                stored = self.read(level, index, len(tile))
                if stored[: 32 * len(tile)] != b"".join(tile) or len(stored) not in (32 * len(tile), 32 * WIDTH):
                    self.problem(f"{tile_path(level, index, len(tile))}: not of the entries")
            full = len(hashes) // WIDTH
            hashes = [root_of(hashes[at * WIDTH : (at + 1) * WIDTH]) for at in range(full)]
            level += 1

    def check_entry(self, number, entry):
        reader = Reader(entry)
        version, kind = reader.number("B"), reader.number("B")
        if version != 1:
            raise ValueError(f"version {version}")
        batch = None
        certified = None
        if kind == 1:
            algorithm, source, commitment = reader.number("B"), reader.number("I"), reader.bytes(32)
            first, count = reader.number("Q"), reader.number("I")
            reader.bytes(64)
            batch = (source, first, count, reader.bytes(32))
            reader.bytes(16)
            if algorithm not in (1, 2) or count == 0:
                raise ValueError("not a batch")
            if commitment not in self.commitments.get(source, ()):
                self.problem(f"entry {number}: source {source} has another name")
        elif kind == 2:
            certified = (reader.number("I"), reader.bytes(32))
            reader.bytes(8)
        elif kind == 3:
            reader.bytes(reader.number("B"))
            reader.bytes(72)
        elif kind == 4:
            reader.bytes(8)
            reader.bytes(20 * reader.number("I"))
        elif kind == 5:
            reader.bytes(8)
        elif kind == 6:
            reader.bytes(52)
        else:
            raise ValueError(f"kind {kind}")
        signer = (reader.number("I"), reader.bytes(32))
        message = DOMAIN + entry[: reader.at]
        if not is_signed(signer[1], message, reader.bytes(64)) or reader.at != len(entry):
            self.problem(f"entry {number}: its signature does not verify")
        if number == 0:
            if certified != (0, signer[1]) or signer[0] != 0:
                self.problem("entry 0: the first epoch does not certify itself")
        elif signer != self.epoch:
            self.problem(f"entry {number}: not signed by the key of its epoch")
        if certified:
            if number > 0 and certified[0] != signer[0] + 1:
                self.problem(f"entry {number}: the epoch does not follow")
            self.epoch = certified
        if batch:
            source, first, count, before = batch
            expected = self.chains.get(source, (first, bytes(32)))
            if (first, before) != expected:
                self.problem(f"entry {number}: does not follow the batch of source {source} before it")
            self.chains[source] = (first + count, sha256(message))

    def check_anchors(self, key, leaves):
        imprints = {}
        for path in (self.ledger / "anchors").glob("*.checkpoint"):
            name = f"anchors/{path.name}"
            origin, size, root = self.note(name, key)[:3]
            size = int(size)
            if origin != key[0] or f"{size}.checkpoint" != path.name:
                self.problem(f"{name}: of another log or size")
            elif size > len(leaves):
                self.problem(f"{name}: of {size} entries, the log has {len(leaves)}")
            elif root_of(leaves[:size]) != base64.b64decode(root, validate=True):
                self.problem(f"{name}: of another history")
            else:
                imprints[str(size)] = sha256(path.read_bytes())
        for path in (self.ledger / "anchors").glob("*.tsr"):
            imprint = imprints.get(path.name.split("-")[0])
            if imprint is None:
                self.problem(f"anchors/{path.name}: no good checkpoint that it could be about")
                continue
            try:
                check_token(path.read_bytes(), imprint)
            except WRONG as error:
                self.problem(f"anchors/{path.name}: {type(error).__name__}: {error}")

    def run(self):
        try:
            key = self.key()
            origin, size, root = self.note("checkpoint", key)[:3]
            if origin != key[0]:
                raise ValueError("checkpoint: of another log")
            size, root = int(size), base64.b64decode(root, validate=True)
            self.sources()
            leaves = []
            for index in range((size + WIDTH - 1) // WIDTH):
                for entry in self.entries(index, min(WIDTH, size - index * WIDTH)):
                    self.check_entry(len(leaves), entry)
                    leaves.append(sha256(b"\0", entry))
            if root_of(leaves) != root:
                self.problem("the entries are not those that were signed")
            self.check_tiles(leaves)
            self.check_anchors(key, leaves)
        except WRONG as error:
            self.problem(f"{type(error).__name__}: {error}")
        for what in self.problems:
            print(what)
        return 1 if self.problems else 0


if __name__ == "__main__":
    sys.exit(Verifier(sys.argv[1]).run())
