"""Everything a check needs, opened once and closed together: the clients, the filter, the reference. Checks nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.clock import Clock
from core.errors import FixByHand, Unreachable
from core.files import make_folder
from core.logs import get_logger
from core.settings import Settings
from net.budget import Budget
from net.client import CrowdClient, HttpClient
from net.origin import Origin, probe_origin
from net.roots import few_roots
from net.tls import Trust, build_trust
from proxies.addresses import AddressFilter
from proxies.check import Checker
from proxies.files import FileList, read_file, saved_of
from proxies.funnel import CHECKS, PROBES, Funnel
from proxies.guard import load_filter
from proxies.model import Address
from proxies.own import OwnProxies, read_own
from proxies.probe import TARGET, Probe
from proxies.promote import ECHO_URL, Promoter, echoed
from proxies.reference import DirectReference
from yahoo.session import COOKIE_URL

log = get_logger(__name__)
ORIGIN_URL = f"https://{TARGET[0]}/"
HOSTS = (TARGET[0], str(urlsplit(COOKIE_URL).hostname))
"""What is asked through strangers, checks and quotes alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """`own`: proxies of the settings and of the file's lines with a password."""

    trust: Trust
    origin: Origin
    allowed: AddressFilter
    own: OwnProxies
    funnel: Funnel
    checker: Checker
    promoter: Promoter


def own_proxies(settings: Settings, urls: Mapping[Address, str]) -> OwnProxies:
    """Return the proxies of `[proxies] own` and these, found in a file."""
    own = read_own(settings.proxies.own)
    return OwnProxies(urls={**urls, **own.urls}, gateways=own.gateways)


@asynccontextmanager
async def open_tools(
    settings: Settings, clock: Clock, *, urls: Mapping[Address, str], probes: int = PROBES
) -> AsyncIterator[Tools]:
    """Open them. Unreachable if the upstream does not answer directly: nothing could be told from a proxy's fault.

    `urls`: proxies with a password that were found in a file.
    """
    state_dir = make_folder(Path(settings.state.dir))
    network = settings.network
    trust = build_trust(ca_file=network.ca_file, state_dir=state_dir)
    origin = await probe_origin(ORIGIN_URL, trust=trust, proxy=network.proxy)
    few = await few_roots(HOSTS, trust=trust, proxy=network.proxy, state_dir=state_dir)
    allowed, own = load_filter(settings.proxies), own_proxies(settings, urls)
    async with AsyncExitStack() as stack:
        # Each check is of the whole way, and hundreds of idle connections to strangers would be no use.
        client = CrowdClient(ca_path=few, max_clients=CHECKS, keeps_connections=False)
        many = await stack.enter_async_context(client)
        careful = await stack.enter_async_context(CrowdClient(ca_path=trust.ca_path))
        direct = await stack.enter_async_context(HttpClient(ca_path=trust.ca_path, proxy=network.proxy))
        budget = Budget(state_dir, start_per_s=network.start_requests_per_s, max_per_s=network.max_requests_per_s)
        reference = DirectReference(direct, budget, clock)
        checker = Checker(
            many,
            clock,
            refusal=allowed.refusal,
            reference=reference,
            confirming=careful,
            trust=trust,
            url_through=own.url,
        )
        probe = Probe(refusal=allowed.refusal)
        yield Tools(
            trust=trust,
            origin=origin,
            allowed=allowed,
            own=own,
            funnel=Funnel(probe, checker, clock, probes=probes, skips_probe=own.has_password),
            checker=checker,
            promoter=Promoter(
                careful, clock, reference=reference, own_exit=await _own_exit(direct, allowed), url_through=own.url
            ),
        )


async def _own_exit(direct: HttpClient, allowed: AddressFilter) -> str:
    """Return where this host itself comes from, "" if that cannot be learned; it is no proxy of anybody's."""
    try:
        own = echoed(await direct.get(ECHO_URL))
    except Unreachable as error:
        log.info("own_exit_unknown", error=str(error))
        return ""
    if own:
        allowed.learn_own(own)
    return own


def listed_in_files(settings: Settings, allowed: AddressFilter) -> FileList:
    """Return what the proxy file names, and the user's own that it took the place of; nothing of one that is absent."""
    path = Path(settings.proxies.file)
    lists = []
    for each in (path, saved_of(path)):
        if not each.exists():
            continue
        try:
            lists.append(read_file(each, allowed))
        except FixByHand as error:
            log.warning("proxy_file_unread", error=str(error))
    return FileList(
        addresses=list(dict.fromkeys(address for each in lists for address in each.addresses)),
        urls={address: url for each in lists for address, url in each.urls.items()},
    )
