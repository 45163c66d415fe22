"""Small templates: written ones for each feature, random expressions and random control structures."""
import json
import random
import re

VARIABLES = {
    "messages": [],
    "n": 7, "z": 0, "neg": -3, "x": 2.5, "big": 12345678901234567890, "tiny": 1e-7, "huge": 1.5e300,
    "t": True, "f": False, "nil": None,
    "s": "Hello, World", "empty": "", "blank": "  \t pad \n ", "uni": "Größe ß ﬁ ΑΣ Σ 你好 👍", "csv": "a,b,,c", "num": "42", "real": "3.75",
    "html": "<a href='x'>T & \"q\"</a>", "lines": "one\n\n two\r\nthree\n",
    "l": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple", "Banana"], "mixed": [1, "a", None, 2.0, True], "none_list": [],
    "nested": [[1, 2], [3], []],
    "d": {"b": 1, "a": "x", "C": [1, 2], "items": 5}, "e": {},
    "people": [{"name": "Ann", "age": 31, "home": {"city": "Rome"}}, {"name": "bob", "age": 25, "home": {"city": "Oslo"}},
               {"name": "Cid", "age": 31, "home": {"city": "rome"}, "tags": ["x", "y"]}],
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}, {"v": 5, "kids": []}],
}

WRITTEN = r"""
{{ 1 + 2 * 3 - 4 / 2 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7 % 3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }}
{{ -2 ** 2 }} {{ (-2) ** 2 }} {{ 2 ** 3 ** 2 }} {{ 2 ** 64 }} {{ 10 ** 30 }} {{ 1 / 3 }} {{ 10 / 5 }}
{{ 1e16 }} {{ 1e15 }} {{ 123456789.123 }} {{ 1e-4 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e3 }}
{{ true and 1 }} {{ 0 or 'x' }} {{ not 1 }} {{ not none }} {{ none or false }} {{ 1 and 0 }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1,2] < [1,3] }} {{ (1,) == [1] }} {{ 1 != 2 != 1 }}
{{ 'ell' in s }} {{ 'x' not in s }} {{ 2 in l }} {{ 'a' in d }} {{ 1 in (1, 2) }} {{ none in mixed }}
{{ 'a' ~ 1 ~ none ~ 2.0 ~ true ~ [1, 'x'] ~ {'k': 1.5} }}
{{ [1, 'a', none, true, 2.5, (1,), {}, {'a': 1}, 'it\'s', "say \"x\""] }}
{{ (1, 2) }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }} {{ {'a': {'b': [1]}} }} {{ 1, 2 }}
{{ 'tab\tnl\nquote\'\\ \x41 \u00e9 \U0001F600 \101 \q \é' }}
{{ ['\n', '\x00', '\x7f', '\u200b', 'é', '\U0001F600', '\\'] }}
{{ "adjacent" ' strings' "join" }}
{{ s[0] }} {{ s[-1] }} {{ s[1:4] }} {{ s[::-1] }} {{ s[::2] }} {{ s[-3:] }} {{ s[100] }} {{ s[5:2] }} {{ uni[1:5] }} {{ uni[-2:] }} {{ uni[::-1] }}
{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[::-1] }} {{ l[10] }} {{ l[:-1] }} {{ (1,2,3)[1:] }} {{ range(10)[2:5] }} {{ l[1:][0] }}
{{ s[::0] }}
{{ d.a }} {{ d['b'] }} {{ d.items }} {{ d['items'] }}
{{ d.missing }}|{{ d['missing'] }}|{{ missing }}|{{ missing is defined }}
{{ missing.x }}
{{ d.missing.x }}
{{ missing + 1 }}
{{ missing() }}
{{ missing ~ 'x' }} {{ missing|length }} {{ missing|list }} {{ missing|upper }} {{ missing == missing2 }} {{ missing == none }} {{ [missing] }}
{{ missing|tojson }}
{{ missing|int }}
{{ missing < 1 }}
{{ 'x' in missing }}
{{ missing in 'x' }}
{{ d.items() }}
{% for k, v in e.items() %}{{ k }}{% else %}none{% endfor %}
{% for k, v in {'p': 1, 'q': [2]}.items() %}{{ k }}={{ v }};{% endfor %}
{{ e.keys() }} {{ {'a': 1}.keys() }} {{ {'a': 1}.values() }} {{ {'a': 1}.items() }} {{ {'a': 1}.items()|list }} {{ {'a': 1}.keys()|list|tojson }}
{{ d.get('a') }} {{ d.get('zz') }} {{ d.get('zz', 3) }} {{ d.get('zz', default=3) }}
{{ {1: 'a', 1.0: 'b', true: 'c'} }} {{ {'a': 1, 'a': 2} }} {{ {(1,2): 3}[(1,2)] }}
{{ {[1]: 2} }}
{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }} {{ dict([('k', 'v')]) }} {{ dict.fromkeys(['a', 'b'], 0) }} {{ dict.fromkeys('ab') }}
{{ l.append(4) }}
{{ d.update({'x': 1}) }}
{{ d.pop('a') }}
{{ l.append is defined }} {{ l.index(1) }} {{ l.count(3) }} {{ l.copy() }} {{ (1, 1).count(1) }}
{{ l.index(99) }}
{{ ''.__class__ }}|{{ ''.__class__ is defined }}|{{ {}.__class__.__mro__ }}
{% set ns = namespace(a=1, b='x') %}{{ ns.a }}{% set ns.a = ns.a + 1 %}{{ ns.a }}{{ ns['b'] }}{{ ns.c }}{{ ns.c is defined }}{{ ns }}
{% set ns = namespace({'k': 1}, z=2) %}{{ ns.k }}{{ ns.z }}{% for i in range(3) %}{% set ns.k = ns.k + i %}{% endfor %}{{ ns.k }}
{% set ns = namespace() %}{% set ns._x = 1 %}{{ ns._x }}
{{ namespace(_a=1) }}
{% set q = {} %}{% set q.a = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, e2) = [3, 4] %}{{ c }}{{ e2 }}{% set a, b = b, a %}{{ a }}{{ b }}
{% set a, b = 1, 2, 3 %}
{% set a, b = [1] %}
{% set x1 %}hello {{ n }}{% endset %}[{{ x1 }}]{% set y1 | upper | trim %}  abc {% endset %}[{{ y1 }}]
{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}
{% for i in l %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {{ loop.previtem is defined }}{{ loop.nextitem is defined }};{% endfor %}
{% for i in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i > 1) }} {% endfor %}{% for i in l %}{{ loop }}{% endfor %}
{% for i in l %}{% for j in 'ab' %}{{ loop.index }}{{ j }}{{ i }}{% endfor %}{{ loop.index }} {% endfor %}
{% for i in l if i > 1 %}{{ loop.index }}/{{ loop.length }}:{{ i }}{{ ',' if not loop.last }}{% else %}empty{% endfor %}
{% for i in none_list %}x{% else %}empty{% endfor %} {% for i in l if i > 10 %}x{% else %}nothing{% endfor %}
{% for n2 in tree recursive %}{{ n2.v }}@{{ loop.depth }}/{{ loop.depth0 }}{% if n2.kids %}({{ loop(n2.kids) }}){% endif %}{% endfor %}
{% for i in l %}{{ loop([1]) }}{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}
{% for i in range(5) %}{% set v %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endset %}{{ v }}{% endfor %}|{{ v }}
{% break %}
{% for i in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}-{{ b }} {% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for c in 'añ👍' %}[{{ c }}]{% endfor %}{% for k in d %}{{ k }} {% endfor %}
{% for i in 5 %}{{ i }}{% endfor %}
{% for i in none %}{{ i }}{% endfor %}
{% for loop in l %}{% endfor %}
{% for i in l %}{% set loop = 1 %}{% endfor %}
{% set v = 1 %}{% for i in l %}{{ v }}{% set v = i %}{{ v }} {% endfor %}{{ v }}
{% if true %}{% set v = 5 %}{% endif %}{{ v }} {% if false %}{% set w = 1 %}{% endif %}{{ w is defined }}
{% with a = 1, b = n %}{{ a }}{{ b }}{% set a = 9 %}{{ a }}{% endwith %}{{ a is defined }}
{% with a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{% endwith %}
{% macro m(a, b=2, c='x') %}{{ a }}/{{ b }}/{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c='z') }}{{ m(b=1, a=0) }}{{ m() }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}
{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}{{ m(1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, zz=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m(a) %}{{ caller(a) }}{% endmacro %}{% call(x) m(5) %}<{{ x }}{{ n }}>{% endcall %}
{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body{% endcall %}{{ m.name }} {{ m.arguments }} {{ m.caller }} {{ m.catch_kwargs }}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro fact(k) %}{% if k > 1 %}{{ k * (fact(k - 1)|int) }}{% else %}1{% endif %}{% endmacro %}{{ fact(10) }}
{% macro outer() %}{% macro inner(q) %}{{ q }}{{ n }}{% endmacro %}{{ inner(1) }}{% endmacro %}{{ outer() }}
{{ early() }}{% macro early() %}x{% endmacro %}
{% macro uses() %}{{ later }}{% endmacro %}{% set later = 3 %}{{ uses() }}
{% macro m(x) %}{% set n = 100 %}{{ n }}{{ x }}{% endmacro %}{{ m(1) }}{{ n }}
{% macro m(a, a) %}{% endmacro %}
{% macro m(a=1, b) %}{% endmacro %}
{% filter upper %}abc {{ s }}{% endfilter %} {% filter replace('a', 'b')|trim %} banana {% endfilter %}
{% raw %}{{ not }} {% evaluated %}{% endraw %} {%- raw -%}  {{ x }}  {%- endraw -%} z
{# comment #}a{#- strip -#} b {# multi
line #}
c
{% generation %}gen {{ n }}{% set g = 1 %}{% endgeneration %}{{ g is defined }}
{% block title %}t{{ n }}{% endblock %} {% block other scoped %}{{ s }}{% endblock other %}
{% for i in l %}{% block inloop %}{{ i is defined }}{% endblock %}{% endfor %}
{% for i in l %}{% block inloop2 scoped %}{{ i }}{% endblock %}{% endfor %}
{% include 'x' %}
{% if false %}{% include 'x' %}{% endif %}ok
{% import 'x' as y %}
{% do l.append(1) %}
{% unknown %}
{% endif %}
{% if true %}
{{ 1 +
{{ 1 }
{{ 'open }}
{{ (1, 2 }}
{{ 1 1 }}
{{ }}
{% set %}
{{ a b }}
{{ not }}
{{ 5 is }}
{{ 1 is defined is defined }}
{{ s|nofilter }}
{{ s is notest }}
{% if false %}{{ s|nofilter }}{% endif %}ok
{% if true %}{{ s|nofilter }}{% endif %}
{{ 1 if true else s|nofilter }}
{% if false %}{% for i in l %}{{ s|nofilter }}{% endfor %}{% endif %}
{{ 'x' if false }}|{{ ('x' if false) is defined }}|{{ 'a' if 0 else 'b' if 0 else 'c' }}
{{ (1 if false).x }}
{{ joiner() }}{% set j = joiner('|') %}{% for i in l %}{{ j() }}{{ i }}{% endfor %}
{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}
{{ cycler() }}
{{ range(3)|list }} {{ range(1, 10, 3)|list }} {{ range(5, 0, -2)|list }} {{ range(3) }} {{ range(1, 5, 2) }} {{ range(0)|list }} {{ range(5)|length }} {{ 3 in range(5) }} {{ range(5)[-1] }}
{{ range(100001) }}
{{ range(0, 10, 0) }}
{{ raise_exception('boom') }}
{% if false %}{{ raise_exception('boom') }}{% endif %}fine
{{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%d %b %Y') }} {{ strftime_now('%A, %B %-d, %j %p %y %%') }} [{{ strftime_now('') }}]
{{ d|tojson }} {{ people|tojson }}
{{ people|tojson(indent=2) }}
{{ d|tojson(indent=4) }} {{ []|tojson(indent=2) }} {{ {}|tojson(indent=2) }} {{ [[], {}]|tojson(indent=1) }}
{{ d|tojson(separators=(',', ':')) }} {{ d|tojson(sort_keys=true) }} {{ uni|tojson }} {{ uni|tojson(ensure_ascii=true) }} {{ html|tojson }}
{{ [1, 2.0, 1e100, none, true, 'x"\\/\n\t\r\b\f\x01\x7f\u2028', (1, 2), 1e-7]|tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }} {{ big|tojson }}
{{ {(1, 2): 3}|tojson }}
{{ [1, 2]|tojson(indent='--') }} {{ [1]|tojson(indent=0) }} {{ [1, [2]]|tojson(indent=1, separators=('; ', '= ')) }}
{{ range(3)|tojson }}
{{ namespace(a=1)|tojson }}
{{ l|map('string')|tojson }}
{{ 'x'|safe }}{{ ('<'|safe) + '<' }}{{ '<'|e + '<' }}{{ html|e }}{{ html|escape|escape }}{{ html|forceescape }}{{ html|striptags }}{{ ('<b>'|safe)|upper }}{{ ['<'|safe] }}
{{ '<' + ('<'|safe) ~ '<' }} {{ ('%s'|safe) % '<' }} {{ ('{}'|safe) is escaped }} {{ 'x' is escaped }} {{ ('<b>'|safe).replace('b', '<') }} {{ '<'|safe|string is escaped }}
{{ '%s and %d and %5.2f|%-5s|%05d|%x|%X|%o|%e|%g|%c|%r|%%' % ('s', 3, 2.345, 'ab', 42, 255, 255, 8, 12345.678, 0.0001, 'z', 'q') }}
{{ '%(a)s %(b)05.1f' % {'a': 1, 'b': 2} }} {{ '%s' % 'x' }} {{ '%s' % [1, 2] }} {{ '%5s|%+d|% d|%#x' % ('é', 5, 5, 255) }} {{ '%.2s' % 'héllo' }} {{ '%*d' % (5, 3) }}
{{ '%d' % 'x' }}
{{ '%s %s' % 'x' }}
{{ '%s' % (1, 2) }}
{{ '%s|%s'|format(1, 'x') }} {{ '%(k)s'|format(k=3) }}
{{ '{} {}'.format(1, 'a') }} {{ '{1} {0} {1}'.format('a', 'b') }} {{ '{x} {y.a} {z[0]}'.format(x=1, y=d, z=l) }} {{ '{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd') }}
{{ '{:05d} {:+} {:,} {:.2f} {:e} {:x} {:#b} {:%} {:g} {:_}'.format(42, 5, 1234567, 3.14159, 12345.6789, 255, 5, 0.25, 1e10, 1000000) }} {{ '{!r:>6} {!s}'.format('a', 1) }} {{ '{{}} {}'.format(1) }} {{ '{:{}}'.format('x', 4) }}|
{{ '{} {'.format(1) }}
{{ '{}'.format() }}
{{ '{:d}'.format('x') }}
{{ '{:.3}'.format('abcdef') }} {{ '{:.3}'.format(3.14159) }} {{ '{:10}|{:10}'.format(1, 'a') }} {{ '{}'.format(none) }} {{ '{:>5}'.format(true) }} {{ '{0.name}'.format({'name': 1}) }}
{{ s.upper() }} {{ s.lower() }} {{ s.title() }} {{ s.capitalize() }} {{ s.swapcase() }} {{ uni.upper() }} {{ uni.lower() }} {{ uni.title() }} {{ uni.casefold() }} {{ uni|title }} {{ "they're bill's-friends (ok) [x] {y} <z>"|title }} {{ "they're bill's".title() }}
{{ blank.strip() }}| {{ blank.lstrip() }}| {{ blank.rstrip() }}| {{ 'xxaxx'.strip('x') }} {{ 'abcba'.strip('ab') }} {{ 'abc'.lstrip('ab') }} {{ '\u00a0x\u2003'.strip() }}
{{ csv.split(',') }} {{ csv.split(',', 1) }} {{ csv.rsplit(',', 1) }} {{ blank.split() }} {{ ' a  b c '.split(none, 1) }} {{ ' a  b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a'.split('ab') }} {{ csv.split(',', maxsplit=2) }} {{ 'aXbX'.split(sep='X') }}
{{ csv.split('') }}
{{ lines.splitlines() }} {{ lines.splitlines(true) }} {{ 'a\x0bb\x1cc\u2028d'.splitlines() }}
{{ s.startswith('He') }} {{ s.startswith(('x', 'H')) }} {{ s.endswith('ld') }} {{ s.startswith('W', 7) }} {{ s.startswith('') }} {{ s.endswith(('a', 'b')) }} {{ s.startswith('H', 20) }}
{{ s.startswith(1) }}
{{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ 'abc'.replace('', '-') }} {{ 'abc'.replace('', '-', 2) }} {{ ''.replace('', 'x') }} {{ 'aaa'.replace('aa', 'b') }} {{ s|replace('o', '0') }} {{ s|replace('o', '0', 1) }} {{ 123|replace(2, 'x') }}
{{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.index('W') }} {{ s.count('l') }} {{ s.find('o', 5) }} {{ uni.find('ß') }} {{ 'aaa'.count('aa') }} {{ 'abc'.count('') }} {{ s.find('') }} {{ s.find('', 50) }}
{{ s.index('zz') }}
{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('-') }} {{ 'abc'.rpartition('-') }}
{{ '-'.join(['a', 'b']) }} {{ ''.join('abc') }} {{ ','.join(d) }}
{{ ','.join([1]) }}
{{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'abc'.removeprefix('x') }} {{ 'ab'.ljust(4) }}| {{ 'ab'.rjust(4, '.') }} {{ 'ab'.center(5, '*') }} {{ 'abc'.center(6, '*') }} {{ '-5'.zfill(4) }} {{ 'a\tb'.expandtabs(4) }}
{{ '12'.isdigit() }} {{ '1²'.isdigit() }} {{ '½'.isnumeric() }} {{ 'aé'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ 'Ab Cd'.istitle() }} {{ ''.isdigit() }} {{ 'é'.isascii() }} {{ 'a_1'.isidentifier() }} {{ '\n'.isprintable() }} {{ '١'.isdecimal() }}
{{ s.nomethod() }}
{{ s.upper }}{{ s.upper is callable }}{{ s is callable }}
{{ n.x }}|{{ none.x }}|{{ x.y }}|{{ true.z }}
{{ none.x.y }}
{{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ words|sort(reverse=true) }} {{ l|sort }} {{ people|sort(attribute='age')|map(attribute='name')|join(',') }} {{ people|sort(attribute='age,name')|map(attribute='name')|list }} {{ people|sort(attribute='home.city', reverse=true)|map(attribute='name')|list }}
{{ mixed|sort }}
{{ d|dictsort }} {{ {'b': 2, 'A': 3, 'c': 1}|dictsort }} {{ {'b': 2, 'A': 3, 'c': 1}|dictsort(true) }} {{ {'b': 2, 'A': 3, 'c': 1}|dictsort(by='value') }} {{ {'b': 2, 'A': 3}|dictsort(reverse=true) }}
{{ words|unique|list }} {{ words|unique(true)|list }} {{ people|unique(attribute='age')|map(attribute='name')|list }} {{ [1, 1.0, true, '1']|unique|list }}
{{ l|min }} {{ l|max }} {{ words|min }} {{ words|max }} {{ people|max(attribute='age') }} {{ []|min }} {{ []|max is defined }}
{{ l|sum }} {{ people|sum(attribute='age') }} {{ l|sum(start=10) }} {{ []|sum }} {{ nested|sum(start=[]) }} {{ [0.1, 0.2]|sum }}
{{ ['a']|sum }}
{{ l|first }} {{ l|last }} {{ []|first }}|{{ []|last }}| {{ s|first }} {{ s|last }} {{ d|first }} {{ l|reverse|list }} {{ s|reverse }} {{ uni|reverse }}
{{ l|map('string')|join('-') }} {{ words|map('upper')|list }} {{ words|map('replace', 'a', 'A')|list }} {{ people|map(attribute='name')|list }} {{ people|map(attribute='tags', default='-')|list }} {{ people|map(attribute='home.city')|join(' ') }} {{ nested|map('length')|list }} {{ nested|map(attribute=0)|list }}
{{ l|map('nofilter')|list }}
{{ l|map()|list }}
{{ [1, 2, 3, 4]|select('odd')|list }} {{ [1, 2, 3, 4]|reject('odd')|list }} {{ mixed|select|list }} {{ mixed|reject|list }} {{ [1, 5, 10]|select('gt', 4)|list }} {{ words|select('in', ['fig'])|list }} {{ [1, 2]|select('==', 2)|list }} {{ l|select('divisibleby', 3)|list }} {{ mixed|select('string')|list }} {{ mixed|select('none')|list }}
{{ people|selectattr('tags')|map(attribute='name')|list }} {{ people|selectattr('age', 'equalto', 31)|map(attribute='name')|list }} {{ people|rejectattr('age', 'gt', 30)|map(attribute='name')|list }} {{ people|selectattr('tags', 'defined')|list|length }} {{ people|rejectattr('tags', 'defined')|list|length }} {{ people|selectattr('home.city', 'equalto', 'Rome')|list|length }} {{ people|selectattr('age', '>=', 31)|list|length }}
{{ l|select('notest')|list }}
{{ l|map('upper')|length }}
{{ people|groupby('age') }}
{% for age, group in people|groupby('age') %}{{ age }}:{{ group|map(attribute='name')|join(',') }};{% endfor %}{% for g in people|groupby('home.city') %}{{ g[0] }}{{ g[1]|length }} {% endfor %}{% for a, g in people|groupby('tags', default='none') %}{{ a }}{% endfor %}
{{ [1,2,3,4,5]|batch(2)|list }} {{ [1,2,3,4,5]|batch(2, 'x')|list }} {{ [1,2,3,4,5]|slice(2)|list }} {{ [1,2,3,4,5]|slice(3, 'x')|list }}
{{ d|items|list }} {{ e|items|list }} {{ missing|items|list }} {{ d|list }} {{ s|list }} {{ d|length }} {{ s|length }} {{ uni|length }} {{ l|count }}
{{ 5|length }}
{{ 'a b  c'|wordcount }} {{ uni|wordcount }} {{ s|center(20) }}| {{ 'abc'|indent }} {{ lines|indent }} {{ lines|indent(2, true) }} {{ lines|indent(2, first=true, blank=true) }} {{ lines|indent('> ') }}|
{{ ''|indent }}| {{ 5|indent }}
{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(11, false, '...', 0) }} {{ 'foobar'|truncate(3, end='') }} {{ 'averyveryverylongword'|truncate(8) }}
{{ '42'|int }} {{ '42.7'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ '0x1F'|int(0, 16) }} {{ 'ff'|int(base=16) }} {{ none|int }} {{ 3.99|int }} {{ -3.99|int }} {{ ' 12 '|int }} {{ '1_000'|int }} {{ true|int }} {{ [1]|int }} {{ '1e3'|int }}
{{ '3.5'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 3|float }} {{ none|float }} {{ 'inf'|float }} {{ '-Infinity'|float }} {{ 'nan'|float }} {{ '1e400'|float }} {{ ' 2.5 '|float }} {{ '1_0.5'|float }}
{{ 42.55|round }} {{ 42.55|round(1) }} {{ 42.55|round(1, 'floor') }} {{ 42.51|round(1, 'ceil') }} {{ 2.5|round }} {{ 3.5|round }} {{ -2.5|round }} {{ 42|round }} {{ 1234|round(-2) }} {{ 2.675|round(2) }} {{ 0.5|round }} {{ 1.005|round(2) }} {{ 150|round(-2) }} {{ 1234.5|round(-2) }}
{{ -5|abs }} {{ -5.5|abs }} {{ 5|abs }} {{ none|default('x') }} {{ missing|default('x') }} {{ missing|d }} {{ ''|default('x', true) }} {{ 0|default('x', boolean=true) }} {{ d.zz|default('y') }} {{ false|default('x') }}
{{ 1000|filesizeformat }} {{ 1|filesizeformat }} {{ 500|filesizeformat }} {{ 1500000|filesizeformat }} {{ 1048576|filesizeformat(true) }} {{ 123456789012|filesizeformat }} {{ '2048'|filesizeformat(binary=true) }}
{{ 'a b/c?d=é&'|urlencode }} {{ {'a': 1, 'b c': 'd/e'}|urlencode }} {{ [('x', 'y z')]|urlencode }} {{ {'class': 'x', 'n': none, 'id': '<'}|xmlattr }} {{ {'a': 1}|xmlattr(false) }}
{{ l|join }} {{ l|join(', ') }} {{ people|join(', ', attribute='name') }} {{ 'abc'|join('.') }} {{ mixed|join('|') }} {{ []|join(',') }} {{ l|join(1) }}
{{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(3) }} {{ n is number }} {{ x is float }} {{ n is integer }} {{ t is integer }} {{ t is boolean }} {{ t is number }} {{ s is string }} {{ s is sequence }} {{ s is iterable }} {{ d is mapping }} {{ l is sequence }} {{ l is iterable }} {{ n is iterable }} {{ d is sequence }} {{ nil is none }} {{ nil is not none }} {{ t is true }} {{ 1 is true }} {{ f is false }}
{{ s is lower }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ n is sameas 7 }} {{ t is sameas true }} {{ 1 is in l }} {{ 9 is not in l }} {{ n is eq 7 }} {{ n is ge 7 }} {{ n is lt 7 }} {{ n is ne(8) }} {{ 'upper' is filter }} {{ 'odd' is test }} {{ 'zz' is filter }} {{ range is callable }} {{ missing is callable }} {{ missing is none }} {{ missing is string }} {{ missing is undefined }} {{ missing is iterable }} {{ missing is sequence }}
{{ n is defined and n > 5 }} {{ n is defined or missing }} {{ not n is odd }} {{ n is not odd }} {{ n is divisibleby 7 and true }}
{{ 'a' in 'abc' and 'b' not in 'xyz' }} {{ not 'a' in 'abc' }} {{ -n }} {{ +n }} {{ -x }} {{ - - n }} {{ -true }} {{ n - -1 }} {{ -'a' }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + (2,) }}
{{ [1] + [2] }} {{ (1,) + (2,) }} {{ [1] * 2 }} {{ 'ab' * 2 }} {{ 2 * 'ab' }} {{ 'a' * -1 }} {{ (1, 2) * 2 }} {{ true + true }} {{ 'a' * 0 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 'a' - 'b' }}
{{ 'a' < 1 }}
{{ none < 1 }}
{{ 1 in 5 }}
{{ 1 in 'abc' }}
{{ l.x }} {{ l['x'] }} {{ s['x'] }} {{ s['upper']() }} {{ d['get']('a') }} {{ l['0'] }} {{ l.0 }} {{ nested.0.1 }} {{ nested[0][1] }}
{{ d[['a']] }} {{ l[1.0] }} {{ l[none] }} {{ l[true] }} {{ d[missing] }}
{{ d['a', 'b'] }} {{ {(1, 2): 'x'}[1, 2] }}
{{ s|attr('upper') is callable }} {{ d|attr('a') }} {{ d|attr('a') is defined }}
{{ f(*[1, 2], **{'a': 3}) if false else 'skip' }} {% macro g(a, b, c=0) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ g(*[1, 2], **{'c': 3}) }} {{ g(1, *[2]) }} {{ range(*[1, 4])|list }} {{ g(*'ab', c=1) }}
{{ s | upper | lower | title }} {{ (n + 1) | string | length }} {{ n + 1 | string }}
{{ l | length > 2 }} {{ 'x' ~ l | length }} {{ -1 | abs }} {{ 5 - 2 | abs }} {{ 'A' 'b' | lower }}
{{ lines }}|{{ html }}|{{ nil }}|{{ t }}|{{ big }}|{{ tiny }}|{{ huge }}|{{ x }}|{{ 1e22 }}|{{ 100000000000000000000.0 }}|{{ 5e-324 }}|{{ 1.7976931348623157e308 }}|{{ -0.0 }}
{% autoescape false %}{{ html }}{% endautoescape %}
{% print 1, 'a' %}{% print s %}
{%- if n == 7 -%} seven {%- elif n == 8 -%} eight {%- else -%} other {%- endif -%} end
{% if n == 8 %}a{% elif n == 7 %}b{% else %}c{% endif %}{% if not n %}x{% endif %}{% if l and d and s %}all{% endif %}{% if e or none_list or empty %}any{% endif %}
{% if n, 0 %}tuple{% endif %}{% for x2 in 1, 2, 3 %}{{ x2 }}{% endfor %}{% for x2 in (1, 2) if x2 > 1 %}{{ x2 }}{% endfor %}
{% set t2 = 1, 2 %}{{ t2 }}{% set u2 = (1 if n else 2) %}{{ u2 }}{% set w2 = n > 3 and 'yes' or 'no' %}{{ w2 }}
{{ loop is defined }} {{ caller is defined }} {{ tools is none }} {{ documents is defined }} {{ add_generation_prompt }} {{ messages }}
{{ n;m }}
{{ 1 if n == 7 else 2 if n == 8 else 3 }} {{ [i for i in l] }}
{{ {'a': 1}.a }} {{ [1, 2][0] }} {{ 'abc'[1] }} {{ (1, 2)[0] }} {{ {'a': [1, {'b': 2}]}.a[1].b }} {{ 'abc'.upper()[0].lower() }} {{ '{}'.format('x').upper() }}
{{ 3.real }}
{{ 007 }}
{{ 1__0 }}
{{ 1.e5 }}
{{ .5 }}
{{ 1.5.x }}|{{ '\N{DASH}' }}
{{ '\x4' }}
{{ a = 1 }}
{{ s.format_map({'a': 1}) }} {{ '{a}'.format_map({'a': 1}) }} {{ "%s" % none }} {{ "%s" % missing }} {{ "%d%%" % 5 }} {{ '%s' % {'a': 1} }}
{% set x = 1 %}{% set x = x + 1 %}{{ x }}{% for i in range(2) %}{% set x = x + 10 %}{{ x }} {% endfor %}{{ x }}
{% for i in [1, 2] %}{% for j in [i] %}{% set k = i * 10 + j %}{{ k }} {% endfor %}{{ k is defined }}{% endfor %}
{% for m in people %}{% if loop.first %}{% set who = m.name %}{% endif %}{{ who }}{% endfor %}{{ who is defined }}
{% set ns = namespace(found=false) %}{% for m in people %}{% if m.age < 30 and not ns.found %}{% set ns.found = m.name %}{% endif %}{% endfor %}{{ ns.found }}
{% set ns = namespace(go=true) %}{% for i in range(6) if ns.go %}{{ i }}{% if i == 2 %}{% set ns.go = false %}{% endif %}{% endfor %}
{% set g = [1, 2, 3]|map('string') %}{{ g|join(',') }}|{{ g|join(',') }}|{{ g is iterable }}{{ g is sequence }}{{ 1 if g else 0 }}
""".strip("\n").split("\n")

MULTILINE = [
    "{% if t %}\n  yes\n{% endif %}\n  {% for i in l %}\n    {{ i }}\n  {% endfor %}\nend\n",
    "  {%- if t %}\n x {%- endif +%}\n  y\n",
    "a\n   {%+ if t %}b{% endif %}\n",
    "a  \n\t{# c #}\n  b {# d #}\n{#- e -#}\n f",
    "x {{- ' y ' -}} z\n{{ s }}\n\n",
    "\n\n{{ n }}\n\n\n",
    "line\r\n{% if t %}\r\nw\r\n{% endif %}\r\nend\r\n",
    "  {% set a = 1 %}  \n  {{ a }}\n  {% set b %}\n  in\n  {% endset %}\n[{{ b }}]",
    "{% raw %}\n  {{ x }}\n  {% endraw %}\ny",
    "   {% raw %} a {% endraw %} b",
    "{% macro m() %}\n  body\n{% endmacro %}\n{{ m() }}|{{- m() -}}|\n",
    "{%- for i in l %}\n{{ i }},\n{%- endfor %}\n\n{%- if f %}{% endif %}\n!",
    "{% if t -%}\n\n  a\n\n{%- else %}b{% endif %}  \n  {%- if t %} c{% endif %}",
    "{{ '{%' }}{{ '}}' }}{{ \"{{\" }} { % } {{ {'a': {'b': 1}}}} {{ {} }}",
    "{% filter indent(2) %}a\nb\n{% endfilter %}",
    "{% call m() %}{% endcall %}",
    "a{% if t %}\n\nb{% endif %}\n\nc",
    "{# a\n #}  {# b #}\n\nx\n {#- c #}\ny {# d -#}\n z",
    "{{- n }}  \n {{ n -}} \n x {{+ n }}",
    "{{-1}} {{-n}} {{+1}}",
    "\t{% if t %}\t\n\tq\n\t{%- endif %}\t\n",
    "\u3000{% if t %}x{% endif %}\u3000{%- if t %}y{% endif %}",
    "{%if t%}a{%endif%}{%-if t-%} b {%-endif-%}",
    "{% if t %}a{% endif %}{# #}\n{{ 1 }}\n{# x #}\n{{ 2 }}",
    "{% for i in [1,2] -%}\n  {{ i }}\n{% endfor -%}\n  tail",
]

ATOMS = ["n", "z", "neg", "x", "t", "f", "nil", "s", "empty", "blank", "uni", "csv", "num", "real", "l", "words", "mixed",
         "none_list", "nested", "d", "e", "people", "missing", "d.a", "d.zz", "people[0].name", "people[-1].tags", "l[0]",
         "words[1]", "1", "0", "-1", "2", "3.5", "0.1", "'a'", "'ab'", "''", "' '", "','", "'é'", "true", "false", "none",
         "[]", "{}", "[1, 2]", "['a', 'b']", "(1, 2)", "{'a': 1, 'b': 2}", "range(3)", "lines", "html", "tiny", "big"]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
FILTERS = ["upper", "lower", "title", "capitalize", "trim", "length", "list", "first", "last", "string", "int", "float", "abs",
           "round", "round(1)", "tojson", "tojson(indent=2)", "join(',')", "join", "sort", "sort(reverse=true)", "unique|list",
           "reverse|list", "sum", "min", "max", "default('D')", "default('D', true)", "replace('a', 'A')", "items|list",
           "dictsort", "map('string')|list", "map('length')|list", "select|list", "reject('none')|list", "batch(2)|list",
           "slice(2)|list", "wordcount", "indent(2)", "truncate(5)", "center(9)", "e", "striptags", "urlencode", "count",
           "map(attribute='name')|list", "selectattr('age')|list", "format(1)", "filesizeformat", "groupby(0)|list", "xmlattr",
           "trim('a ')", "replace('', '-')", "tojson(sort_keys=true)", "safe", "forceescape", "tojson(ensure_ascii=true)"]
METHODS = [".upper()", ".lower()", ".strip()", ".split()", ".split(',')", ".title()", ".startswith('a')", ".endswith(('a', 'd'))",
           ".replace('l', 'LL')", ".join(['x', 'y'])", ".find('l')", ".count('l')", ".get('a')", ".get('q', 0)", ".items()|list",
           ".keys()|list", ".values()|list", ".splitlines()", ".lstrip('He')", ".rstrip()", ".isdigit()", ".isalpha()",
           ".capitalize()", ".partition(' ')", ".rsplit(' ', 1)", ".index('a')", ".name", "[0]", "[-1]", "[1:]", "[::-1]", "[:2]",
           "['a']", ".zfill(5)", ".rjust(6, '*')", ".swapcase()", ".islower()", ".istitle()", ".removeprefix('H')", ".format(1)",
           ".casefold()", ".center(8, '-')", ".isspace()", ".expandtabs()", ".rpartition(',')", ".isalnum()", ".count(1)"]
TESTS = ["defined", "undefined", "none", "string", "number", "mapping", "sequence", "iterable", "boolean", "integer", "float",
         "odd", "even", "divisibleby(2)", "lower", "upper", "in [1, 'a']", "eq 1", "gt(1)", "sameas none", "callable", "true",
         "false", "escaped", "ne 'a'", "lt 3"]


class Expressions:
    def __init__(self, rng):
        self.rng = rng

    def make(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.12:
            return rng.choice(ATOMS)
        kind = rng.random()
        if kind < 0.3:
            return f"{self.part(depth)} {rng.choice(BINARY)} {self.part(depth)}"
        if kind < 0.55:
            return f"{self.part(depth)}|{rng.choice(FILTERS)}"
        if kind < 0.75:
            return f"{self.part(depth)}{rng.choice(METHODS)}"
        if kind < 0.83:
            return f"{self.part(depth)} is {rng.choice(['', 'not '])}{rng.choice(TESTS)}"
        if kind < 0.89:
            return f"{self.part(depth)} if {self.part(depth)} else {self.part(depth)}"
        if kind < 0.93:
            return f"[{self.make(depth - 1)}, {self.make(depth - 1)}]"
        if kind < 0.95:
            return f"{{{rng.choice(ATOMS)}: {self.make(depth - 1)}}}"
        if kind < 0.97:
            return f"not {self.part(depth)}"
        return f"-{self.part(depth)}"

    def part(self, depth):
        inner = self.make(depth - 1)
        return inner if re.fullmatch(r"[\w.\[\]']+", inner) and not inner[0].isdigit() else f"({inner})"


class Structures:
    """Random templates out of statements, with random white space and its control."""

    NAMES = ["a", "b", "c", "n", "s", "l", "i", "j", "item", "ns.v"]
    VALUES = ["1", "n", "s", "l", "i", "a", "b ~ c", "a + 1", "loop.index", "ns.v", "l|length", "item", "'q'", "words", "d.a",
              "[a, b]", "i * 2", "people", "none", "loop.last", "loop.length", "x", "missing", "m1(1)", "m2(a, b=2)"]
    LISTS = ["l", "words", "range(3)", "none_list", "d", "people", "'abc'", "nested", "[a, b]", "d.items()", "l|sort", "range(n)"]
    CONDITIONS = ["n > 3", "loop.first", "a", "a is defined", "i is odd", "not b", "s == 'q'", "loop.index0 % 2", "l", "missing",
                  "item in words", "ns.v", "false", "true", "loop.last"]

    def __init__(self, rng):
        self.rng = rng

    def tag(self, text):
        rng = self.rng
        left = rng.choice(["", "", "", "-", "+"])
        right = rng.choice(["", "", "", "-", "+"])
        return f"{{%{left} {text} {right}%}}" + rng.choice(["", "", "\n", "\n\n", " ", "  \n  "])

    def text(self):
        return self.rng.choice(["x", " ", "\n", "  y", "z\n", "\n\t", "w  ", " , ", "\n  \n"])

    def output(self):
        left, right = self.rng.choice(["", "", "-"]), self.rng.choice(["", "", "-"])
        return f"{{{{{left} {self.rng.choice(self.VALUES)} {right}}}}}"

    def body(self, depth, loops):
        return "".join(self.statement(depth, loops) for _ in range(self.rng.randint(1, 3)))

    def statement(self, depth, loops):
        rng = self.rng
        kind = rng.random()
        if depth <= 0 or kind < 0.3:
            return rng.choice([self.text, self.output, self.output])()
        inside = self.body(depth - 1, loops)
        if kind < 0.42:
            return self.tag(f"set {rng.choice(self.NAMES)} = {rng.choice(self.VALUES)}")
        if kind < 0.56:
            out = self.tag(f"if {rng.choice(self.CONDITIONS)}") + inside
            if rng.random() < 0.3:
                out += self.tag(f"elif {rng.choice(self.CONDITIONS)}") + self.body(depth - 1, loops)
            if rng.random() < 0.4:
                out += self.tag("else") + self.body(depth - 1, loops)
            return out + self.tag("endif")
        if kind < 0.74:
            target = rng.choice(["i", "j", "item", "a", "n", "i, j"])
            condition = f" if {rng.choice(self.CONDITIONS)}" if rng.random() < 0.25 else ""
            out = self.tag(f"for {target} in {rng.choice(self.LISTS)}{condition}") + self.body(depth - 1, loops + 1)
            if rng.random() < 0.25:
                out += self.tag("else") + inside
            return out + self.tag("endfor")
        if kind < 0.79 and loops:
            return self.tag(f"if {rng.choice(self.CONDITIONS)}") + self.tag(rng.choice(["break", "continue"])) + self.tag("endif")
        if kind < 0.83:
            return self.tag(f"set {rng.choice(self.NAMES[:9])}") + inside + self.tag("endset")
        if kind < 0.87:
            return self.tag(f"with a = {rng.choice(self.VALUES)}, b = {rng.choice(self.VALUES)}") + inside + self.tag("endwith")
        if kind < 0.9:
            return self.tag(f"filter {rng.choice(['upper', 'trim', 'indent(1)', 'replace(1, 2)'])}") + inside + self.tag("endfilter")
        if kind < 0.93:
            return self.tag("call m3(1)") + inside + self.tag("endcall")
        if kind < 0.95:
            return "{#" + rng.choice(["", "-"]) + " c " + rng.choice(["", "-"]) + "#}" + rng.choice(["", "\n"])
        if kind < 0.97:
            return self.tag("generation") + self.body(depth - 1, 0) + self.tag("endgeneration")
        return self.tag("raw") + " {{ r }} " + self.tag("endraw")

    def make(self):
        prefix = ("{% set ns = namespace(v=0) %}{% set a = 1 %}"
                  "{% macro m1(p) %}<{{ p }}{{ a }}>{% endmacro %}"
                  "{% macro m2(p, b=3) %}" + self.body(1, 0) + "{{ b }}{% endmacro %}"
                  "{% macro m3(p) %}({{ caller() }}{{ p }}){% endmacro %}")
        return prefix + self.body(3, 0)


def write(path, render, seed, count, structures):
    rng = random.Random(seed)
    sources = WRITTEN + MULTILINE
    expressions = Expressions(rng)
    sources += [f"{{{{ {expressions.make(rng.choice([1, 2, 2, 3]))} }}}}" for _ in range(count)]
    control = Structures(rng)
    sources += [control.make() for _ in range(structures)]
    address = re.compile(r" at 0x[0-9a-f]|<built-in|<class|generator object|bound method|Function|_GroupTuple")
    errors = kept = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(VARIABLES, ensure_ascii=False) + "\n")
        for source in dict.fromkeys(sources):
            text = render(source, VARIABLES)
            if text is not None and (address.search(text) or len(text) > 3000):
                continue
            kept += 1
            errors += text is None
            file.write(json.dumps({"s": source, "e": 1} if text is None else {"s": source, "o": text}, ensure_ascii=False) + "\n")
    print(f"snippets: {kept}, {errors} of them errors, {path.stat().st_size} bytes")
