"""The site in a real browser: every page, everything that a reader can do."""

import base64
import re
import xml.etree.ElementTree as ET
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from browser import wait_for
from paths import REPOSITORY
from site_files import (
    ASKED,
    FAILED,
    HOSTILE,
    HOSTILE_OUTPUT,
    HOSTILE_REASON,
    LOG_TAIL,
    PROMPT,
    RUNNING,
    TRAINED,
    TWIN,
)  # fmt: skip

pytestmark = pytest.mark.slow  # buys: the pages work in a real browser

AXE = REPOSITORY / "tests" / "vendor" / "axe-core" / "axe.min.js"
HOSTILE_PART = quote(HOSTILE)
PAGES = {
    "#/": "E4 (one student of that mean)",
    "#/experiment/e3": "Mean of three seeds",
    "#/experiment/e4/group/anion_family=oxide": "Only anion family: oxide",
    f"#/crystal/{HOSTILE_PART}": "What was answered",
    "#/compare/e0/e3": "E3",
    "#/runs": "5 runs, 1 masked-LM checkpoint",
    f"#/runs/{FAILED}_run": "Why it failed",
    "#/runs/e0_run/e3_run": "config keys differ",
    "#/runs/mlm/mlm_0": "Samples, worst first",
    f"#/runs/text/{ASKED}": "outputs hold no number",
}


LATER = ("rows.", "answers_", "members_", "calls_", "prompts_", "structures_")


def answers(site_study, name):
    table = pd.read_parquet(site_study.results / name / "predictions.parquet")
    return table.set_index("id")


@pytest.mark.parametrize(("address", "said"), PAGES.items())
def test_each_page_opens_from_the_folder(browser, address, said):
    browser.open(address)
    assert said in browser.text()


def test_each_page_opens_over_http(browser, served):
    browser.base = served
    for address, said in PAGES.items():
        browser.open(address)
        assert said in browser.text()
    assert browser.problems() == []


def test_the_first_view_asks_for_no_rows(browser):
    browser.open("#/", afresh=True)
    names = {url.rpartition("/")[2] for url in browser.requests()}
    assert {name for name in names if name.startswith(LATER)} == set()
    assert "study.js" in names


def test_a_request_to_elsewhere_is_refused_and_noticed(chromium, site):
    """The test of the test: the policy of the page blocks it, and `problems` says so."""
    chromium.base = site.as_uri()
    chromium.open("#/")
    assert chromium.problems() == []
    chromium.run("const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';")
    chromium.run("fetch('http://127.0.0.1:9/').catch(() => {});")
    found = " ".join(wait_for(chromium.problems, "a refusal"))
    assert "Content Security Policy" in found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", list(PAGES))
def test_axe_finds_nothing_serious(browser, address, scheme):
    browser.media(scheme=scheme)
    browser.open(address)
    browser.run(AXE.read_text(encoding="utf-8"))
    found = browser.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {resultTypes: ['violations'], preload: false})"
        ".then(result => done(result.violations))"
    )
    serious = [
        (rule["id"], [node["html"][:200] for node in rule["nodes"]][:3])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_a_narrow_phone_scrolls_only_downwards(browser):
    browser.size(360, 740)
    for address in PAGES:
        browser.open(address)
        widths = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], address


def test_without_scripts_overview_and_tables_read(browser):
    browser.scripts(on=False)
    try:
        browser.driver.get(f"{browser.base}/index.html")
        text = browser.text()
    finally:
        browser.scripts(on=True)
        browser.driver.get("about:blank")
    for said in ("One student of that mean", "No measure of generalisation", "anion family: oxide",
                 HOSTILE, "Resolved config", HOSTILE_REASON, "entity/checkpoint-best"):  # fmt: skip
        assert said in text
    assert "Loading" not in text


def test_paper_has_no_controls(browser):
    browser.open("#/experiment/e4")
    browser.media("print")
    assert not browser.run("return document.querySelector('header.top').offsetParent")
    assert browser.run("return getComputedStyle(document.documentElement).color") == "rgb(0, 0, 0)"
    printed = base64.b64decode(browser.command("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_what_data_says_stays_text(browser):
    for address in (f"#/crystal/{HOSTILE_PART}", "#/experiment/e4", f"#/runs/{FAILED}_run",
                    f"#/crystal/{quote('<script>1</script>')}", "#/runs/mlm/mlm_0",
                    f"#/runs/text/{ASKED}?status=unread"):  # fmt: skip
        browser.open(address)
        assert not browser.run("return document.querySelector('img, main script, main b')")
        assert browser.driver.title != "broken"
    browser.open(f"#/crystal/{HOSTILE_PART}")
    assert HOSTILE in browser.text()
    browser.find("#find").send_keys("<img")
    browser.until("return document.querySelector('#found option')?.value === arguments[0]", HOSTILE)


def test_the_title_of_a_column_stays_text(browser):
    browser.open("#/experiment/e4")
    browser.run(
        "const host = document.querySelector('main').appendChild(document.createElement('div'));"
        "host.id = 'hostile';"
        "new RowTable(host, {label: 'x', sort: 'a.asc',"
        " fields: [{field: 'a', title: arguments[0], value: (row) => row}]});",
        f"target ({HOSTILE})",
    )
    shown = "return document.querySelector('#hostile .tabulator-col-title')?.textContent"
    browser.until(f"{shown} === arguments[0]", f"target ({HOSTILE})")
    assert not browser.run("return document.querySelector('#hostile img')")
    assert browser.driver.title != "broken"


def test_the_keyboard_reaches_content_and_pages(browser):
    browser.open("", afresh=True)
    ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    assert browser.run("return document.activeElement.textContent") == "To the content"
    for _ in range(3):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    assert browser.run("return document.activeElement.textContent") == "E0"
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    browser.ready("#/experiment/e0")


# The overview


def test_the_forest_plot_leads_to_the_two_experiments(browser):
    browser.open("#/")
    dot = browser.find('[data-chart="forest"] svg g[aria-label="dot"] circle')
    ActionChains(browser.driver).move_to_element(dot).perform()
    browser.until("return document.querySelector('[data-chart=forest] g[aria-label=tip] text')")
    ActionChains(browser.driver).move_to_element(dot).click().perform()
    browser.until("return location.hash.startsWith('#/compare/')")


def test_a_figure_downloads_as_svg(browser):
    browser.open("#/")
    browser.find('[data-chart="forest"] .save').click()
    path = browser.downloads / "study_forest.svg"
    wait_for(path.exists, "the download")
    text = wait_for(lambda: path.read_text(encoding="utf-8"), "its content")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text


# An experiment


def shown_rows(browser):
    text = browser.until(
        "return [...document.querySelectorAll('.counter')]"
        ".find(each => each.offsetParent)?.textContent"
    )
    return int(re.search(r"([\d,]+) rows", text)[1].replace(",", ""))


def test_rows_are_those_of_the_parquet_worst_first(browser, site_study):
    browser.open("#/experiment/e4")
    table = answers(site_study, "e4")
    assert browser.column("id") == list(table.index[:25])
    expected = table["abs_error"].to_numpy()[:25]
    shown = np.array([float(text) for text in browser.column("error")])
    assert np.abs(shown - expected).max() <= 0.6e-4
    assert shown_rows(browser) == len(table)


def test_every_row_is_reached_by_pages_and_the_address_keeps_them(browser, site_study):
    browser.open("#/experiment/e4")
    seen = set(browser.column("id"))
    for page in ("2", "3"):
        before = browser.column("id")
        browser.find(f'.tabulator-page[data-page="{page}"]').click()
        wait_for(lambda before=before: browser.column("id") not in (before, []), "the next page")
        assert f"page={page}" in browser.run("return location.hash")
        seen |= set(browser.column("id"))
    assert seen == set(answers(site_study, "e4").index)
    last = browser.column("id")
    address = browser.run("return location.hash")
    browser.open(address, afresh=True)
    assert browser.column("id") == last


def test_a_click_on_a_header_sorts(browser, site_study):
    browser.open("#/experiment/e4")
    browser.find('.tabulator-col[tabulator-field="target"] .tabulator-col-content').click()
    browser.until("return location.hash.includes('sort=target.desc')")
    expected = answers(site_study, "e4")["target"].nlargest(25)
    wait_for(lambda: browser.column("id") == list(expected.index), "the sorted page")


def test_filters_leave_rows_of_a_fold_and_of_elements(browser, site_study):
    browser.open("#/experiment/e4")
    table = answers(site_study, "e4")
    own = table[table["fold"] == 1]
    Select(browser.find("#fold-e4")).select_by_value("1")
    wait_for(lambda: shown_rows(browser) == len(own), "rows of fold 1")
    formula = own["formula"][own["formula"].isin(["Li2O", "NaCl", "MgF2", "ZnS"])].mode()[0]
    browser.find("#q-e4").send_keys(" ".join(re.findall("[A-Z][a-z]?", formula)))
    expected = (own["formula"] == formula).sum()
    assert 0 < expected < len(own)
    wait_for(lambda: shown_rows(browser) == expected, "the crystals of these elements")
    assert set(browser.column("formula")) == {formula}
    address = browser.run("return location.hash")
    browser.open(address, afresh=True)
    assert shown_rows(browser) == expected


def test_a_group_is_a_page_of_its_own(browser, site_study):
    browser.open("#/experiment/e4")
    browser.run(
        "[...document.querySelectorAll('[data-experiment=e4] table a')]"
        ".find(each => each.textContent === 'anion family: oxide').click()"
    )
    browser.ready("#/experiment/e4/group/anion_family=oxide")
    table = answers(site_study, "e4")
    assert shown_rows(browser) == (table["anion_family"] == "oxide").sum()


def plot_box(browser, kind):
    """Corners of a figure's selectable area, in pixels of the page."""
    return browser.run(
        "const each = [...document.querySelectorAll(`[data-chart=${arguments[0]}] .overlay`)]"
        ".find(each => each.getBoundingClientRect().width);"
        "each.scrollIntoView({block: 'center'});"
        "const box = each.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]",
        kind,
    )


def drag(browser, start, *others):
    steps = ActionChains(browser.driver, duration=20)
    steps.w3c_actions.pointer_action.move_to_location(*map(round, start))
    steps.w3c_actions.pointer_action.pointer_down()
    for spot in others:
        steps.w3c_actions.pointer_action.move_to_location(*map(round, spot))
    steps.w3c_actions.pointer_action.pointer_up()
    steps.perform()


def test_a_line_drawn_around_dots_filters_the_table(browser, site_study):
    """A triangle: what its frame holds beside it, a frame would keep."""
    browser.open("#/experiment/e4")
    x, y, width, height = plot_box(browser, "parity")
    bottom, top = y + height - 2, y + 2
    corners = [(x + 2, bottom), (x + 2, top), (x + width * 0.7, top), (x + 3, bottom)]
    drag(browser, *corners)
    outline = browser.until(
        "const found = new URLSearchParams(location.hash.split('?')[1]).get('lasso');"
        "return found && found.split('_').map(corner => corner.split('*').map(Number))"
    )
    table = answers(site_study, "e4")
    expected = Path(outline).contains_points(table[["target", "prediction"]].to_numpy())
    low, high = np.min(outline, axis=0), np.max(outline, axis=0)
    framed = (table[["target", "prediction"]] >= low) & (table[["target", "prediction"]] <= high)
    assert 0 < expected.sum() < framed.all(axis=1).sum() < len(table)
    wait_for(lambda: shown_rows(browser) == expected.sum(), "the rows within the line")
    assert set(browser.column("id")) <= set(table.index[expected])
    browser.open(browser.run("return location.hash"), afresh=True)
    assert shown_rows(browser) == expected.sum()
    assert browser.find("[data-experiment=e4] [data-frame] path[d]").is_displayed()
    browser.find(".chips button").click()
    wait_for(lambda: shown_rows(browser) == len(table), "all rows")


def test_ranges_are_typed_without_a_pointer(browser, site_study):
    browser.open("#/experiment/e4")
    table = answers(site_study, "e4")
    summary = browser.find(".ranges summary")
    summary.send_keys(Keys.ENTER)
    middle = round(float(table["target"].median()), 3)
    browser.find('[name="x-to"]').send_keys(str(middle), Keys.TAB)
    browser.until("return location.hash.includes('x=..')")
    expected = table["target"] <= middle
    wait_for(lambda: shown_rows(browser) == expected.sum(), "the rows up to the median")
    browser.find('[name="residual-from"]').send_keys("0", Keys.TAB)
    expected &= table["prediction"] >= table["target"]
    wait_for(lambda: shown_rows(browser) == expected.sum(), "those that are too high")
    assert browser.text(".chips").startswith(f"target at most {middle:.4f}")
    browser.open(browser.run("return location.hash"), afresh=True)
    assert shown_rows(browser) == expected.sum()


def test_a_frame_in_the_parity_plot_filters_the_table(browser, site_study):
    browser.open("#/experiment/e4")
    Select(browser.find("[data-tool] select")).select_by_value("frame")
    x, y, width, height = plot_box(browser, "parity")
    drag(browser, (x + 2, y + height - 2), (x + width * 0.6, y + height * 0.4))
    ends = browser.until(
        "const found = new URLSearchParams(location.hash.split('?')[1]).get('x');"
        "return found && found.split('..').map(Number)"
    )
    table = answers(site_study, "e4")
    low, high = browser.run(
        "return new URLSearchParams(location.hash.split('?')[1]).get('y').split('..').map(Number)"
    )
    expected = table["target"].between(*ends) & table["prediction"].between(low, high)
    assert 0 < expected.sum() < len(table)
    wait_for(lambda: shown_rows(browser) == expected.sum(), "the framed rows")
    browser.open(browser.run("return location.hash"), afresh=True)
    assert shown_rows(browser) == expected.sum()
    browser.find(".chips button").click()
    wait_for(lambda: shown_rows(browser) == len(table), "all rows")


def test_a_range_of_errors_filters_the_table(browser, site_study):
    browser.open("#/experiment/e4")
    x, y, width, _ = plot_box(browser, "errors")
    drag(browser, (x + 1, y + 20), (x + width / 2, y + 40))
    table = answers(site_study, "e4")
    residual = table["prediction"] - table["target"]
    wait_for(lambda: shown_rows(browser) < len(table), "fewer rows")
    assert abs(shown_rows(browser) - (residual <= 0).sum()) <= 1


def test_a_dot_says_which_crystal_it_is_and_opens_it(browser, site_study):
    browser.open("#/experiment/e4")
    plot_box(browser, "parity")
    dots = browser.run(
        "return [...document.querySelectorAll('[data-experiment=e4] [data-chart=parity] "
        "g[aria-label=dot] circle')].map(dot => { const box = dot.getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2]; })"
    )
    spot = min(dots)
    steps = ActionChains(browser.driver, duration=20)
    steps.w3c_actions.pointer_action.move_to_location(*map(round, spot))
    steps.perform()
    tip = browser.until(
        "return document.querySelector('[data-experiment=e4] [data-chart=parity] "
        "g[aria-label=tip] text')?.textContent"
    )
    lowest = answers(site_study, "e4")["target"].idxmin()
    assert lowest in tip
    steps = ActionChains(browser.driver, duration=20)
    steps.w3c_actions.pointer_action.move_to_location(*map(round, spot))
    steps.w3c_actions.pointer_action.click()
    steps.perform()
    browser.ready(f"#/crystal/{quote(lowest)}")


def test_curves_of_every_fold_and_seed_are_drawn(browser):
    browser.open("#/experiment/e3")
    lines = browser.run(
        "return [...document.querySelectorAll('[data-experiment=e3] [data-chart=curves] "
        "g[aria-label=line]')].map(group => group.querySelectorAll('path').length)"
    )
    assert lines == [2 * 15, 2]


# A crystal


def test_a_crystal_shows_every_answer(browser, site_study):
    browser.open(f"#/crystal/{HOSTILE_PART}")
    lines = browser.run(
        'return [...document.querySelectorAll(\'[aria-label="Answers for this crystal"] '
        "tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert [line[0].split(" ")[0] for line in lines] == ["E0", "E3", "seed", "seed", "seed", "E4"]
    for name, line in (("e0", lines[0]), ("e3", lines[1]), ("e4", lines[5])):
        row = answers(site_study, name).loc[HOSTILE]
        assert float(line[1]) == pytest.approx(row["prediction"], abs=0.6e-4)
        error = float(re.match(r"[+-]?[\d.]+", line[2])[0])
        assert error == pytest.approx(row["prediction"] - row["target"], abs=0.7e-4)
    seeds = pd.read_csv(
        site_study.results / "e3" / "groups" / "anion_family=oxide" / "predictions.csv",
        index_col="id",
    )
    shown = [float(line[1]) for line in lines[2:5]]
    assert shown == pytest.approx(list(seeds.loc[HOSTILE].filter(like="seed")), abs=0.6e-4)
    assert "No measure of generalisation" in browser.text()


def test_its_place_in_a_group_is_its_rank(browser, site_study):
    browser.open(f"#/crystal/{HOSTILE_PART}")
    table = answers(site_study, "e4")
    oxides = table[table["anion_family"] == "oxide"]
    rank = 1 + (oxides["abs_error"] > oxides.loc[HOSTILE, "abs_error"]).sum()
    cells = browser.run(
        "return [...[...document.querySelectorAll('[aria-label=\"Place in each group\"] tr')]"
        ".find(row => row.textContent.includes('oxide')).cells].map(cell => cell.textContent)"
    )
    assert cells[-1] == f"{rank} of {len(oxides)}"


def test_near_copies_are_named_and_lead_on(browser):
    browser.open(f"#/crystal/{TWIN}")
    nearest = browser.find('[aria-label="Nearest training crystals"]')
    first = nearest.text.splitlines()[1]
    assert TRAINED in first
    assert "same structure" in first
    browser.find('[aria-label="Nearest training crystals"] a').click()
    browser.ready(f"#/crystal/{TRAINED}")


def picture(browser):
    browser.until("return document.querySelector('[data-viewer] canvas')?.width > 0")
    return browser.run("viewer.render(); return viewer.pngURI()")


def test_the_structure_is_drawn_and_its_controls_work(browser):
    browser.size(500, 700)
    browser.open(f"#/crystal/{TWIN}")
    first = picture(browser)
    assert browser.run("return viewer.selectedAtoms({}).length") == 9
    Select(browser.find("[data-structure-controls] select")).select_by_value("2")
    browser.until("return location.hash.includes('cells=2')")
    assert browser.run("return viewer.selectedAtoms({}).length") == 27 + 8
    second = picture(browser)
    browser.find("[data-structure-controls] label:nth-of-type(3) input").click()
    browser.until("return location.hash.includes('labels=1')")
    third = picture(browser)
    assert len({first, second, third}) == 3
    browser.find("[data-structure-controls] button:nth-of-type(2)").click()
    path = browser.downloads / f"{TWIN}.cif"
    wait_for(path.exists, "the download")
    text = wait_for(path.read_text, "its content")
    assert "_cell_length_a 3.988082" in text
    assert "Cl2 Cl 0.5 0.5 0.5 1" in text


def test_an_unknown_crystal_is_said_so(browser):
    browser.open("#/crystal/none-such")
    assert "This study has no crystal “none-such”" in browser.text()


def test_the_search_field_opens_a_crystal(browser):
    browser.open("#/")
    browser.find("#find").send_keys("demo-0012", Keys.ENTER)
    browser.ready("#/crystal/demo-0012")


# Two experiments


def test_two_experiments_are_chosen_in_the_page(browser, site_study):
    browser.open("#/compare/e0/e4")
    Select(browser.find('[data-choose] select[name="second"]')).select_by_value("e3")
    browser.ready("#/compare/e0/e3")
    first, second = (answers(site_study, name) for name in ("e0", "e3"))
    paired = second["abs_error"] - first["abs_error"].reindex(second.index)
    lead = browser.text("[data-compare] .lead")
    assert float(re.search(r"minus E0: ([+-][\d.]+)", lead)[1]) == pytest.approx(
        paired.mean(), rel=0.06
    )
    wins = int((paired < 0).sum())
    assert f"errs less on {wins} of {len(paired)} crystals" in browser.text()
    assert browser.column("id")[0] == paired.idxmax()
    browser.find("[data-swap]").click()
    browser.ready("#/compare/e3/e0")
    assert browser.column("id")[0] == paired.idxmin()


def test_a_range_of_differences_filters_the_rows(browser):
    browser.open("#/compare/e0/e3")
    before = shown_rows(browser)
    x, y, width, _ = plot_box(browser, "difference")
    drag(browser, (x + width * 0.75, y + 20), (x + width - 1, y + 40))
    wait_for(lambda: shown_rows(browser) < before, "fewer rows")
    kept = browser.run("return location.hash")
    assert "d=" in kept
    assert all(text.startswith("+") for text in browser.column("difference"))


# Runs


def test_runs_are_filtered_and_put_side_by_side(browser):
    browser.open("#/runs")
    browser.find("[data-runs] input[type=search]").send_keys("complete")
    wait_for(lambda: shown_rows(browser) == 3, "the complete runs")
    for name in ("e0", "e4"):
        browser.find(f'[aria-label="Put {name}_run side by side"]').click()
        browser.until("return location.hash.includes(arguments[0])", f"{name}_run")
        browser.ready(browser.run("return location.hash"))
    lines = browser.text('[aria-label="Config keys that differ"]')
    assert "recipe.teacher.ensemble" in lines
    assert "recipe.lr" not in lines


def test_a_failed_run_says_why_with_the_end_of_its_log(browser):
    browser.open(f"#/runs/{FAILED}_run")
    text = browser.text("[data-run-detail]")
    assert HOSTILE_REASON in text
    assert LOG_TAIL[-1] in text


def test_a_running_run_says_how_far_it_was(browser):
    browser.open(f"#/runs/{RUNNING}_run")
    text = browser.text("[data-run-detail]")
    assert "1 of 2 jobs done" in text
    assert "40 of 100" in text
    assert "0:06" in text


@pytest.fixture(scope="module")
def calls(site_study):
    """Calls of the file, largest errors first."""
    table = pd.read_parquet(site_study.results / ASKED / "raw_outputs.parquet")
    error = (table["prediction"] - table["ground_truth"]).abs()
    return table.assign(error=error).sort_values("error", ascending=False)


def test_prompts_and_outputs_are_read_worst_first(browser, site_study, calls):
    browser.open(f"#/experiment/{ASKED}")
    browser.find(f'[href="#/runs/text/{ASKED}"]').click()
    browser.ready(f"#/runs/text/{ASKED}")
    assert browser.column("id") == list(calls["id"][:25])
    unread = (calls["parse_status"] != "ok").sum()
    assert f"{unread} of {len(calls)} outputs hold no number" in browser.text()
    targets = pd.read_parquet(site_study.paths.targets).set_index("id")
    for place, call in enumerate(calls.head(3).to_dict("records")):
        if place:
            browser.find("[data-call] nav a:last-child").click()
            browser.ready(f"#/runs/text/{ASKED}/0/{quote(call['id'])}")
        prompt = PROMPT.format(formula=targets["formula"][call["id"]])
        assert browser.text("[data-prompt]") == prompt
        assert browser.text("[data-output]") == call["output_text"]


def test_outputs_without_a_number_are_found(browser, calls):
    browser.open(f"#/runs/text/{ASKED}")
    Select(browser.find("#call-status")).select_by_value("unread")
    failed = calls[calls["parse_status"] != "ok"]
    wait_for(lambda: shown_rows(browser) == len(failed), "the outputs without a number")
    assert browser.column("id") == list(failed["id"])
    assert set(browser.column("status")) == {"no number"}
    assert "the training median" in browser.text("[data-call]")
    assert HOSTILE_OUTPUT in browser.text("[data-output]")
    browser.open(browser.run("return location.hash"), afresh=True)
    assert shown_rows(browser) == len(failed)


def test_a_crystal_shows_what_was_written_about_it(browser, calls):
    call = calls[calls["parse_status"] == "ok"].iloc[-1]
    browser.open(f"#/crystal/{quote(call['id'])}")
    line = browser.find('[aria-label="Outputs about this crystal"] tbody tr')
    assert call["output_text"] in line.text
    line.find_element("tag name", "a").click()
    browser.ready(f"#/runs/text/{ASKED}/0/{quote(call['id'])}")
    assert browser.text("[data-output]") == call["output_text"]


def test_masked_samples_are_read_one_by_one(browser):
    browser.open("#/runs/mlm/mlm_0")
    assert browser.column("id")[:2] == ["law-0", "law-1"]
    browser.open("#/runs/mlm/mlm_0/law-38")
    text = browser.text("[data-mlm]")
    assert "[MASK]" in text
    assert "<b>법률</b>" in text
    assert "the first" in text
