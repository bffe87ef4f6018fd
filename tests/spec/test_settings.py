"""What a host gets: the same octets for the same wish, everything resolved, nothing secret."""

from mailserver_py.spec.settings import HostSettings, PublicKey, derive_settings
from tests.spec.sites import SMALLEST, spec_of
from tests.spec.test_address_plan import SITE

KEYS = {"example.org": [PublicKey("r1", "rsa-sha256", b"pem")]}


def test_settings_are_the_same_octets_for_the_same_wish() -> None:
    once = derive_settings(spec_of(SITE), "mx1.example.org", KEYS).model_dump_json(indent=1)
    again = derive_settings(spec_of(SITE), "mx1.example.org", KEYS).model_dump_json(indent=1)
    assert once == again


def test_settings_read_back_as_themselves() -> None:
    settings = derive_settings(spec_of(SITE), "mx1.example.org", KEYS)
    assert HostSettings.model_validate_json(settings.model_dump_json()) == settings


def test_the_verification_account_is_there_without_being_named() -> None:
    settings = derive_settings(spec_of(SMALLEST), "mx1.example.org", {})
    assert settings.verification_account == "mailserver-verify@example.org"
    assert settings.accounts["mailserver-verify@example.org"].send_as == ("mailserver-verify@example.org",)


def test_postmaster_and_abuse_of_every_domain_lead_to_the_first_account() -> None:
    settings = derive_settings(spec_of(SMALLEST), "mx1.example.org", {})
    assert settings.addresses == {
        "abuse@example.org": ("alice@example.org",),
        "postmaster@example.org": ("alice@example.org",),
    }
    assert settings.postmaster == "alice@example.org"


def test_a_catch_all_leads_to_an_address_that_the_settings_know() -> None:
    settings = derive_settings(spec_of(SITE), "mx1.example.org", KEYS)
    catch_all = settings.domains["example.net"].catch_all
    assert catch_all in settings.addresses or catch_all in settings.accounts


def test_signing_keys_are_named_per_domain() -> None:
    settings = derive_settings(spec_of(SITE), "mx1.example.org", KEYS)
    assert [key.selector for key in settings.domains["example.org"].dkim] == ["r1"]
    assert settings.domains["example.net"].dkim == ()
    assert "pem" not in settings.model_dump_json()


def test_the_authority_is_named_only_for_certificates_from_it() -> None:
    assert derive_settings(spec_of(SMALLEST), "mx1.example.org", {}).acme_contact == "postmaster@example.org"
    own = spec_of(SMALLEST + "tls: {source: self-signed}\n")
    assert derive_settings(own, "mx1.example.org", {}).acme_directory == ""
