#!/usr/bin/env python3
"""ws.h's JSON reader beside Python's json: the same texts accepted and refused, the same values found in them.

Valid texts are made at random, then mutated. reader.py [HOW MANY [SEED]]
"""
import json
import os
import random
import re
import struct
import subprocess
import sys

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 60000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
DEPTH = 64
PROGRAM = 'build/interop/reader'
SCRAPS = [b'{', b'}', b'[', b']', b',', b':', b'"', b'\\', b'\\u', b'\\ud800', b'\\udc00', b'\\n', b'0', b'-', b'.',
          b'e', b'E+', b'1', b'true', b'false', b'null', b'nul', b'NaN', b'Infinity', b'\xef\xbb\xbf', b'\x00', b'\x1f',
          b'\x7f', b'\xc3', b'\xa9', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xe2\x80\xa8', b' ', b'\t', b'\r', b'\n',
          b'\x0b', b"'", b'//', b'+', b'1e400', b'-0', b'00', b'1.', b'.5', b'9223372036854775807',
              b'9223372036854775808', b'1e19']
random.seed(SEED)


class Wrong(ValueError):
    pass


def spell_number(text):
    sign, whole, fraction, power = re.fullmatch(r'(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?', text).groups()
    digits = (whole + (fraction or '')).lstrip('0')
    exponent = int(power or 0) - len(fraction or '')
    exponent += len(digits) - len(digits.rstrip('0'))
    digits = digits.rstrip('0')
    if not digits:
        return 'i0'
    if exponent >= 0 and len(digits) + exponent <= 19:
        value = int(digits + '0' * exponent) * (-1 if sign else 1)
        if -2 ** 63 <= value < 2 ** 63:
            return f'i{value}'
    value = float(text)
    return 'x' if value in (float('inf'), -float('inf')) else 'd' + struct.pack('>d', value).hex()


def spell_string(text):
    try:
        return 's' + text.encode().hex()
    except UnicodeEncodeError:
        return 's?'


class Number(str):
    pass


class Pairs(list):
    pass


def spell(value):
    if value is None:
        return 'n'
    if isinstance(value, bool):
        return 't' if value else 'f'
    if isinstance(value, Number):
        return spell_number(value)
    if isinstance(value, str):
        return spell_string(value)
    if isinstance(value, Pairs):
        return '{' + ''.join(spell_string(name) + spell(item) + ',' for name, item in value) + '}'
    return '[' + ''.join(spell(item) + ',' for item in value) + ']'


def depth(value):
    if isinstance(value, Pairs):
        return 1 + max((depth(item) for _, item in value), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def constant(text):
    raise Wrong(text)  # NaN and its like, which are none of RFC 8259's


def python(data):
    try:
        text = data.decode('utf-8')
        if text.startswith('\ufeff'):
            return 'bad'
        value = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=constant, object_pairs_hook=Pairs)
    except ValueError:
        return 'bad'
    return 'deep' if depth(value) > DEPTH else spell(value)


def number():
    whole = random.choice(['0', str(random.randrange(10)), str(random.randrange(1, 10 ** random.randrange(1, 40)))])
    return (random.choice(['', '-']) + whole
            + random.choice(['', '', '.' + ''.join(random.choices('0123456789', k=random.randrange(1, 30)))])
            + random.choice(['', '', random.choice('eE') + random.choice(['', '+', '-']) + str(random.randrange(400))]))


def string():
    parts = []
    for _ in range(random.randrange(8)):
        parts.append(random.choice([
            'abc', '\\"', '\\\\', '\\/', '\\b\\f\\n\\r\\t', '\\u%04x' % random.randrange(65536), '\\ud83d\\ude00',
            '\\uD800', '\\udc00', chr(random.randrange(32, 127)).replace('"', 'x').replace('\\', 'y'), '\u00e9',
            '\u20ac', '\U0001f600', '\x7f', '\u2028']))
    return '"' + ''.join(parts) + '"'


def space():
    return ''.join(random.choices(' \t\r\n', k=random.randrange(3))) if random.random() < 0.2 else ''


def text(level):
    kind = random.randrange(8 if level else 5)
    if kind < 3:
        return space() + (number() if kind else string()) + space()
    if kind < 5:
        return space() + random.choice(['true', 'false', 'null', '[]', '{}', '[ ]', '{\n}']) + space()
    items = [text(level - 1) for _ in range(random.randrange(5))]
    if kind == 5:
        return space() + '[' + ','.join(items) + ']' + space()
    return space() + '{' + ','.join(space() + string() + space() + ':' + item for item in items) + '}' + space()


def mutate(data):
    data = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        at = random.randrange(len(data) + 1)
        way = random.randrange(5)
        if way == 0:
            del data[at:at + random.randrange(1, 4)]
        elif way == 1:
            data[at:at] = random.choice(SCRAPS)
        elif way == 2:
            data[at:at + 1] = random.choice(SCRAPS)
        elif way == 3 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        else:
            data[at:at] = data[random.randrange(len(data) + 1):][:random.randrange(1, 8)]
    return bytes(data)


def texts():
    for scrap in SCRAPS:
        yield scrap
    for level in range(60, 70):
        yield b'[' * level + b']' * level
        yield b'{"a":' * level + b'0' + b'}' * level
    for _ in range(COUNT):
        data = text(random.randrange(5)).encode('utf-8')
        yield data if random.random() < 0.3 else mutate(data)


def main():
    os.makedirs('build/interop', exist_ok=True)
    subprocess.run([os.environ.get('CC', 'cc'), '-O1', '-o', PROGRAM, 'tests/interop/reader.c'], check=True)
    given = list(texts())
    spelled = subprocess.run([PROGRAM], input=b''.join(struct.pack('>I', len(data)) + data for data in given),
                             stdout=subprocess.PIPE, check=True).stdout.decode().split('\n')
    failed, good = 0, 0
    for data, line in zip(given, spelled):
        wanted = python(data)
        good += wanted not in ('bad', 'deep')
        if line != wanted:
            failed += 1
            if failed <= 10:
                print(f'FAILED  reader: {data!r}\n        ws.h:   {line}\n        Python: {wanted}')
    if len(spelled) != len(given) + 1 or not len(given) // 4 < good < len(given) * 3 // 4:
        failed += 1
        print(f'FAILED  reader: {len(spelled)} answers, {good} good ones of {len(given)} texts')
    print(f'ok      reader: {len(given) - failed} of {len(given)} texts read alike, {good} of them valid')
    print(f'{0 if failed else 1} passed, {1 if failed else 0} failed')
    return 1 if failed else 0


sys.exit(main())
