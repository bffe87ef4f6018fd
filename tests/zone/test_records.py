"""Which records a wish implies, and in which form."""

import dns.name
import dns.rdatatype
import dns.zone

from mailserver_py.senderauth.dkim import dkim_record, parse_public_key
from mailserver_py.zone import render
from mailserver_py.zone.records.shape import txt
from mailserver_py.zone.text import render_rows, render_values, render_zonefile
from tests.zone.wishes import KEYS, RSA, SITE, wish


def published(text: str = SITE) -> dict[tuple[str, str], set[str]]:
    """(name, type) → record texts."""
    return {
        (record.owner.to_text(True), dns.rdatatype.to_text(record.rdataset.rdtype)): {
            rdata.to_text() for rdata in record.rdataset
        }
        for record in render(wish(text), KEYS)
    }


def test_hosts_have_their_addresses() -> None:
    found = published()
    assert found["mx1.example.org", "A"] == {"192.0.2.10"}
    assert found["mx1.example.org", "AAAA"] == {"2001:db8::a"}
    assert ("mx2.example.net", "AAAA") not in found


def test_mail_goes_to_the_hosts_in_the_specs_order() -> None:
    assert published()["example.net", "MX"] == {"10 mx1.example.org.", "20 mx2.example.net."}


def test_only_our_hosts_send_for_a_domain_and_each_host_for_itself() -> None:
    found = published()
    assert found["example.org", "TXT"] == {'"v=spf1 mx -all"'}
    assert found["mx1.example.org", "TXT"] == {'"v=spf1 a -all"'}


def test_a_host_named_like_its_domain_has_one_spf_record() -> None:
    text = "domains: {example.org: }\nhosts: {example.org: {ipv4: 192.0.2.1}}\naccounts: {a@example.org: }\n"
    assert published(text)["example.org", "TXT"] == {'"v=spf1 mx -all"'}


def test_every_key_is_published_and_a_retired_one_says_so() -> None:
    rows = {row[0]: row for row in render_rows(render(wish(), KEYS)) if "_domainkey" in row[0]}
    assert list(rows) == [
        "r1._domainkey.example.org",
        "e1._domainkey.example.org",
        "e1._domainkey.example.net",
        "e0._domainkey.example.net",
    ]
    assert "roll-over" in rows["e0._domainkey.example.net"][3]


def test_a_long_text_is_strings_of_255_octets_that_read_as_one() -> None:
    text = dkim_record(parse_public_key(RSA))
    (record,) = txt(wish(), text)
    assert [len(string) for string in record.strings] == [255, len(text) - 255]
    assert b"".join(record.strings).decode() == text


def test_dmarc_says_what_to_do_and_where_to_report() -> None:
    found = published()
    assert found["_dmarc.example.org", "TXT"] == {'"v=DMARC1; p=reject; rua=mailto:postmaster@example.org"'}
    assert found["_dmarc.example.net", "TXT"] == {'"v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org"'}


def test_a_domain_that_gets_anothers_reports_consents() -> None:
    assert published()["example.net._report._dmarc.example.org", "TXT"] == {'"v=DMARC1;"'}


def test_what_separates_addresses_in_a_report_address_is_encoded() -> None:
    text = SITE.replace("dmarc@example.org", '"a!b@example.org"')
    assert any("a%21b@example.org" in value for values in published(text).values() for value in values)


def test_open_doors_are_led_to_and_closed_ones_named_closed() -> None:
    found = published()
    assert found["_imaps._tcp.example.org", "SRV"] == {"0 0 993 mx1.example.org.", "1 0 993 mx2.example.net."}
    assert found["_pop3s._tcp.example.org", "SRV"] == {
        "10 0 995 mx1.example.org.",
        "11 0 995 mx2.example.net.",
    }
    assert found["_imap._tcp.example.org", "SRV"] == {"0 0 0 ."}


def test_names_behind_addresses_are_asked_for_not_published() -> None:
    records = [record for record in render(wish(), KEYS) if record.rdataset.rdtype == dns.rdatatype.PTR]
    assert len(records) == 3
    assert not any(record.publish for record in records)
    assert records[0].owner == dns.name.from_text("10.2.0.192.in-addr.arpa")


def test_no_two_records_share_owner_and_type() -> None:
    records = render(wish(), KEYS)
    assert len(published()) == len(records)
    assert all(record.reason for record in records)


def test_the_same_wish_gives_the_same_text() -> None:
    assert render_zonefile(render(wish(), KEYS)) == render_zonefile(render(wish(), KEYS))


def test_the_zone_file_is_one_that_a_server_reads() -> None:
    text = render_zonefile([record for record in render(wish(), KEYS) if record.publish])
    start = "@ 300 IN SOA ns hostmaster 1 3600 600 86400 300\n@ 300 IN NS ns.example.\n"
    zone = dns.zone.from_text(start + text, origin="", relativize=False)
    for record in render(wish(), KEYS):
        if record.publish:
            assert set(zone.find_rdataset(record.owner, record.rdataset.rdtype)) == set(record.rdataset)


def test_what_others_must_publish_is_a_comment_in_the_zone_file() -> None:
    lines = render_zonefile(render(wish(), KEYS)).splitlines()
    assert [line for line in lines if "PTR" in line and not line.startswith(";")] == []


def test_json_values_hold_every_record() -> None:
    values = render_values(render(wish(), KEYS))
    assert len(values) == len(render(wish(), KEYS))
    assert {"name", "type", "ttl", "values", "reason", "publish"} == set(values[0])
