"""hubtool test: hold images against their contract and the repository's own tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from hubtool import console
from hubtool.commands.promotion import IMAGE_TESTS
from hubtool.commands.test_subjects import Asked, Subject, find, image_tests, of_file, of_reference, of_variant
from hubtool.config import FILE_NAME, load
from hubtool.contracts import CONTRACTS, NO_CONTRACT, Result, TestReport, check_contract, check_profile
from hubtool.contracts.docs import own_promises
from hubtool.contracts.junit import junit as junit_xml
from hubtool.contracts.known import can_go
from hubtool.contracts.report import as_json as report_json
from hubtool.contracts.report import as_markdown, as_text, promises_as_text
from hubtool.contracts.runner import kept_logs, own_files, promises, run_checks
from hubtool.engines import Engine, choose_engine, get_engine
from hubtool.errors import HubtoolError
from hubtool.files import write_whole
from hubtool.plan import Variant
from hubtool.plan.records import Record, read_record, write_record

AT_ONCE = 2  # images that are tested side by side
_telling = threading.Lock()


def test(
    images: Sequence[str],
    *,
    root: Path,
    engine: str | None,
    tag: str | None,
    dirty: bool,
    contract: str | None,
    profile: str | None,
    settings_of: str | None,
    junit: Path | None,
    as_json: bool,
    list_checks: bool,
) -> None:
    """Test the images of hubtool.yaml that IMAGES name (all, where empty), references, and archives; two at once.

    Prints the reports in their order, writes JUNIT, and raises HubtoolError where an image does not pass or could not
    be tested, after the others are done.
    """
    asked = Asked(contract, profile, settings_of)
    if contract is not None:
        check_contract(contract)
    if list_checks:
        _list_checks(root, asked, as_json)
        return
    if junit is not None and not junit.parent.is_dir():
        raise HubtoolError(f"no folder {junit.parent} to write {junit.name} to")
    subjects = _subjects(images, root, engine, tag, dirty, asked)
    reports: list[TestReport] = []
    errors: list[HubtoolError] = []
    with _tested(subjects) as tests:
        for one in tests:
            try:
                reports.append(one.result())
            except HubtoolError as error:
                errors.append(error)
                continue
            if not as_json:
                console.result(as_text(reports[-1]))
    tell(reports, junit, as_json, errors)


test.__test__ = False  # type: ignore[attr-defined]  # a command, for pytest that imports it too


def test_variant(variant: Variant, engine: Engine) -> TestReport:
    """Hold VARIANT's image in ENGINE against its contract and the repository's own tests.

    Shows each result as it comes. When all passed, the record of the image says so for this very image id; anything
    else clears it. The report says what failed; nothing is raised for it. Raises HubtoolError where the engine has no
    such image or the checks could not run.
    """
    return _test(of_variant(variant, engine, Asked()))


test_variant.__test__ = False  # type: ignore[attr-defined]


def _subjects(
    names: Sequence[str], root: Path, engine: str | None, tag: str | None, dirty: bool, asked: Asked
) -> list[Subject]:
    """What NAMES mean, but for images that the registry has and that passed before they came there."""
    chosen = cache(lambda: choose_engine(engine))
    subjects = []
    for one in find(names, root, tag, dirty):
        if isinstance(one, Path):
            subjects.append(of_file(one, root, asked))
        elif isinstance(one, str):
            subjects.append(of_reference(one, chosen(), root, asked))
        elif not _passed_elsewhere(one, asked):
            subjects.append(of_variant(one, chosen(), asked))
    return subjects


def _passed_elsewhere(variant: Variant, asked: Asked) -> bool:
    """Whether the image is the registry's, and passed its contract before it came there."""
    record = read_record(variant.root, variant.image)
    if record is None or not record.in_registry or record.commit != variant.source.commit:
        return False
    if not (record.tested or variant.contract == NO_CONTRACT):  # a worker built it, and nobody tested it
        return False
    if asked.contract not in (None, record.tested) or asked.profile not in (None, variant.job.settings.profile):
        return False
    console.say(f"{variant.reference} passed already: {record.test_summary or variant.contract}")
    return True


@contextmanager
def _tested(subjects: Sequence[Subject]) -> Iterator[list[Future[TestReport]]]:
    """The tests of SUBJECTS, begun. Where the block is left early, those that run are ended, with all they started."""
    stop = threading.Event()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            yield [pool.submit(_test, subject, stop, several=len(subjects) > 1) for subject in subjects]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _test(subject: Subject, stop: threading.Event | None = None, *, several: bool = False) -> TestReport:
    """Test SUBJECT, tell each result as it comes, with the image's name where there are SEVERAL, and record it."""
    settings = subject.settings
    engine = subject.engine if settings.archive else get_engine(settings.engine)  # one a thread
    first = f"{settings.name} " if several else ""

    def say(result: Result) -> None:
        with _telling:
            console.say(f"  {first}{result.check} {result.outcome} in {result.seconds:.1f} s")

    with _telling:
        console.say(f"testing {subject.reference} against {_what(subject)} {console.LOG_DOTS}")
    _note(subject, None)
    results, seconds = run_checks(engine, settings, say, stop)
    report = TestReport(
        settings.name,
        subject.reference,
        settings.image,
        settings.contract,
        results,
        seconds,
        can_go(results, settings.known_issues),
        settings.log_folder if kept_logs(settings) else "",
    )
    if report.passed and subject.own:
        _note(subject, report)
    return report


def _what(subject: Subject) -> str:
    settings = subject.settings
    contract = " ".join(filter(None, ["the", settings.contract, settings.profile, "contract"]))
    if settings.contract == NO_CONTRACT:
        contract = "no contract"
    folders = [f"{IMAGE_TESTS}/"] if settings.image_tests else []
    folders += [f"{Path(settings.own_tests).name}/"] if settings.own_tests else []
    return " and ".join([contract, *folders]) + ("" if folders else f" (no {IMAGE_TESTS}/ and no own checks)")


def _note(subject: Subject, report: TestReport | None) -> None:
    """Record that the image passed, or with no REPORT that it has not. The record of another build stays."""
    variant = subject.variant
    if variant is None:
        return
    record = read_record(variant.root, variant.image)
    if record is None:
        record = Record(subject.reference, subject.settings.image, subject.settings.engine)
    if record.image_id != subject.settings.image:
        return
    passed = (report.contract, report.summary) if report else (None, None)
    write_record(variant.root, variant.image, replace(record, tested=passed[0], test_summary=passed[1]))


def _list_checks(root: Path, asked: Asked, as_json: bool) -> None:
    names = [asked.contract] if asked.contract else list(CONTRACTS)
    if asked.profile is not None:
        if asked.contract is None:
            raise HubtoolError("--profile is of which contract?", hint="add --contract NAME")
        check_profile(asked.contract, asked.profile)
    found = [promise for name in names for promise in promises(name, asked.profile)]
    config = load(root) if (root / FILE_NAME).exists() else None
    folders = dict.fromkeys(image.tests for image in config.images.values()) if config else {}
    found += [one for tests in folders if tests for file in own_files(root / tests) for one in own_promises(file)]
    if as_json:
        console.result_json([asdict(promise) for promise in found])
    else:
        console.result(promises_as_text(found))
        console.say(f"{IMAGE_TESTS}/: {'runs after the contract' if image_tests(root) else 'none here'}")


def tell(reports: Sequence[TestReport], junit: Path | None, as_json: bool, errors: Sequence[HubtoolError] = ()) -> None:
    """Write and print what programs read, then fail where an image did not pass, or could not be tested."""
    if junit is not None:
        write_whole(junit, junit_xml(reports))
    if as_json:
        console.result_json([report_json(report) for report in reports])
    for report in reports:
        console.github_summary(as_markdown(report))
        for result in report.failed:
            console.github_error(f"{report.name}: {result.check} {result.promise}: {result.message} {result.mend}")
        for note in report.notes:
            console.warn(f"{report.name}: {note}")
        if report.not_run and not report.failed:
            console.warn(f"{report.name} does not count as tested: the checks that start it could not run")
    failed = [f"{report.name} ({', '.join(_ids(report))})" for report in reports if report.failed]
    for error in errors[0 if failed else 1 :]:
        console.warn(f"not tested: {error}")
    if failed:
        raise HubtoolError(f"not passed: {', '.join(failed)}", hint="mend what the table says, then: hubtool build")
    if errors:
        raise errors[0]


def _ids(report: TestReport) -> list[str]:
    return list(dict.fromkeys(result.check for result in report.failed))
