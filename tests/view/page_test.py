"""The page of a run in a browser: headless Chromium, driven by Selenium.

  page_test.py FOLDER_OF_MDGAN_SERVER [FOLDER_FOR_SCREENSHOTS]

Ends with 77 and says why where Debian's python3-selenium and chromium-driver are
not installed.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

try:
    from selenium import webdriver
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    print("skipped: python3-selenium is not installed")
    sys.exit(77)
if not shutil.which("chromedriver") or not shutil.which("chromium"):
    print("skipped: chromium and chromium-driver are not installed")
    sys.exit(77)

import fixtures  # noqa: E402 (after the check of what may be missing)

PATIENCE = 60
TOKEN = "a-token-of-a-test-0123456789"


def eventually(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if condition():
                return
        except StaleElementReferenceException:
            pass  # the page has drawn that part anew meanwhile
        time.sleep(.1)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Viewer:
    """`mdgan-server view` of a run, on a free port."""

    def __init__(self, program, run, *options):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [program, "view", str(run), "--http", "127.0.0.1:0", *options],
            stderr=subprocess.PIPE, text=True)
        said = ""
        while not (found := re.search(r"http://\S+/", said)):
            line = self.process.stderr.readline()
            if not line:
                raise AssertionError("mdgan-server view ended: " + said)
            said += line
        self.url = found[0]
        # It must never wait for a reader of what it says.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


def start_browser():
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu",
                 "--disable-dev-shm-usage", "--window-size=1280,1000",
                 "--disable-background-networking", "--no-first-run",
                 "--force-color-profile=srgb", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs",
                           {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(
        service=Service(shutil.which("chromedriver")), options=options)
    browser.set_page_load_timeout(PATIENCE)
    browser.set_script_timeout(PATIENCE)
    return browser


def emulate(browser, scheme="light", width=1280, reduced=False):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion",
         "value": "reduce" if reduced else "no-preference"}]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 1000, "deviceScaleFactor": 1,
        "mobile": False})


def text(browser, identifier):
    return browser.find_element(By.ID, identifier).text


def open_page(browser, url):
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(url)


def wait_for_run(browser):
    eventually(lambda: "round" in text(browser, "sentence"), "the sentence")
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, "#charts figure"),
               "the charts")


def requests(browser):
    """The addresses that the page has asked for since open_page()."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return found


def check_nothing_elsewhere(browser, url):
    origin = urllib.parse.urlsplit(url)[:2]
    asked = requests(browser)
    check(len(asked) >= 6, f"few requests: {asked}")
    for address in asked:
        check(urllib.parse.urlsplit(address)[:2] == origin,
              f"asked elsewhere: {address}")


def check_console(browser):
    said = browser.get_log("browser")
    check(not said, f"the console says {said}")


def accessible(browser):
    """(role, name) of what assistive technology is shown."""
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [(n.get("role", {}).get("value", ""), n.get("name", {}).get("value", ""))
            for n in nodes if not n.get("ignored")]


def check_names(browser):
    found = accessible(browser)
    for role, name in (("slider", "Through the run's history"),
                       ("button", "Play"), ("button", "Newest"),
                       ("progressbar", "Rounds done"), ("heading", "Pictures"),
                       ("heading", "Curves"), ("heading", "Peers"),
                       ("heading", "Swaps of discriminators")):
        check((role, name) in found, f"no {role} '{name}'")
    for role, pattern in (("image", "^Generated images after round "),
                          ("image", "^Losses, up to round .*discriminators "),
                          ("image", "^FID .*fid10k "), ("figure|group", "^Losses$"),
                          ("table", "^Events, newest first$")):
        check(any(re.fullmatch(role, r) and re.search(pattern, n)
                  for r, n in found), f"no {role} like {pattern}")
    check(any(fixtures.ODD_NAME in n for _, n in found),
          "the odd name is not told as it is")
    for role, name in found:
        if role in ("button", "slider", "textbox", "searchbox", "link", "image",
                    "img", "figure", "table"):
            check(name, f"a {role} has no name")
    charts = browser.find_elements(By.CSS_SELECTOR, "#charts figure")
    check(len(charts) >= 7, f"{len(charts)} charts")
    for chart in charts:
        check(chart.find_elements(By.CSS_SELECTOR, "details summary"),
              "a chart has no table")


def check_keyboard(browser):
    """Tab reaches everything that acts, and the slider moves by arrows."""
    body = browser.find_element(By.TAG_NAME, "body")
    reached = set()
    body.send_keys(Keys.TAB)
    for _ in range(60):
        active = browser.switch_to.active_element
        reached.add(active.get_attribute("id") or active.tag_name)
        if active.get_attribute("id") == "slider":
            before = text(browser, "caption")
            active.send_keys(Keys.HOME)
            check(text(browser, "caption") != before, "Home moves no picture")
            active.send_keys(Keys.ARROW_RIGHT)
        if active.tag_name == "summary" and "table" not in reached:
            reached.add("table")
            active.send_keys(Keys.ENTER)
            eventually(lambda: browser.find_elements(
                By.CSS_SELECTOR, "#charts details[open] td"), "a chart's table")
        active.send_keys(Keys.TAB)
    for part in ("slider", "play", "newest", "button", "table", "summary"):
        check(part in reached, f"Tab does not reach {part}: {sorted(reached)}")


def check_ring(browser):
    """The last swap's arrows, their table, and each peer's partner."""
    browser.find_element(By.CSS_SELECTOR, "#ring summary").click()
    rows = [row.text for row in browser.find_elements(
        By.CSS_SELECTOR, "#ring-table tbody tr")]
    check(len(rows) == 10 and "hospital-0" in rows[0], rows)
    check(len(browser.find_elements(By.CSS_SELECTOR, "#ring path.arrow")) == 10,
          "not ten arrows")
    check(any(r in ("image", "img") and n.startswith("The last swap, after round")
              for r, n in accessible(browser)), "the ring has no words")
    check("300 ms" in text(browser, "peers-table"), "no answer times of peers")
    source, target = rows[0].split()
    eventually(lambda: any(
        row.text.startswith(source) and target in row.text for row in
        browser.find_elements(By.CSS_SELECTOR, "#peers-table tbody tr")),
        "the partner in the last swap")


def check_width(browser):
    wide = browser.execute_script(
        "return [document.documentElement.scrollWidth, innerWidth]")
    check(wide[0] <= wide[1], f"the page is {wide[0]} wide, the window {wide[1]}")


def screenshot(browser, folder, name):
    if not folder:
        return
    height = browser.execute_script("return document.documentElement.scrollHeight")
    width = browser.execute_script("return innerWidth")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": min(height + 20, 4000), "deviceScaleFactor": 1,
        "mobile": False})
    time.sleep(.5)
    browser.save_screenshot(str(folder / f"{name}.png"))


def few_peers(browser, program, folder, shots):
    run = fixtures.Run(folder / "few", peers=10, rounds=10_000)
    viewer = Viewer(program, run.folder)
    try:
        for scheme in ("light", "dark"):
            emulate(browser, scheme)
            run.write_status()
            open_page(browser, viewer.url)
            wait_for_run(browser)
            check_console(browser)
            screenshot(browser, shots, f"few-{scheme}")
        emulate(browser, "light", 400, reduced=True)
        run.write_status()
        open_page(browser, viewer.url)
        wait_for_run(browser)
        check_width(browser)
        screenshot(browser, shots, "few-narrow")
        emulate(browser)
        check_names(browser)
        check("round 10,000" in browser.title, browser.title)
        check_ring(browser)
        check(not browser.find_elements(By.CSS_SELECTOR, "#peers-table b, #events img"),
              "a peer's text became markup")
        run.write_status(waiting=None)
        check_keyboard(browser)
        # A peer that is gone shows.
        run.status["peers"][0].update(presence="absent", owes=None)
        run.write_status()
        eventually(lambda: any(
            row.text.startswith("hospital-0") and "absent" in row.text
            for row in browser.find_elements(
                By.CSS_SELECTOR, "#peers-table tbody tr")), "the peer that left")
        check("hospital-0 missing" in text(browser, "sentence"),
              text(browser, "sentence"))
        # And so does a server that is.
        run.lock.close()
        run.status["updated"] = 0
        eventually(lambda: "is gone" in text(browser, "sentence"), "the server's end")
        check_console(browser)
        check_nothing_elsewhere(browser, viewer.url)
    finally:
        viewer.stop()
    eventually(lambda: "no answer since" in text(browser, "offline"),
               "word of the viewer's end")


def many_peers(browser, program, folder, shots):
    run = fixtures.Run(folder / "many", peers=1000, rounds=100_000)
    viewer = Viewer(program, run.folder)
    try:
        for scheme, width in (("light", 1280), ("dark", 400)):
            emulate(browser, scheme, width)
            run.write_status()
            open_page(browser, viewer.url)
            wait_for_run(browser)
            eventually(lambda: len(browser.find_elements(
                By.CSS_SELECTOR, "#peers-table tbody tr")) == 20, "the 20 worst")
            check_width(browser)
            screenshot(browser, shots, f"many-{scheme}-{width}")
        emulate(browser)
        check("time within which half" in text(browser, "histogram-title"),
              text(browser, "histogram-title"))
        search = browser.find_element(By.ID, "search")
        search.send_keys("hospital-99")
        eventually(lambda: len(browser.find_elements(
            By.CSS_SELECTOR, "#peers-table tbody tr")) == 11, "the search")
        found = accessible(browser)
        check(any(r == "image" and n.startswith("Peers: ") for r, n in found),
              "the cells have no words")
        check(("searchbox", "Find peers by name") in found, "no name for the search")
        check_console(browser)
        check_nothing_elsewhere(browser, viewer.url)
        check_metrics(viewer.url)
    finally:
        viewer.stop()


def check_metrics(url):
    """Prometheus' own parser reads /metrics, where it is installed."""
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        print("/metrics is not parsed: python3-prometheus-client is not installed")
        return
    with urllib.request.urlopen(url + "metrics", timeout=PATIENCE) as answer:
        found = {family.name: family for family in text_string_to_metric_families(
            answer.read().decode("utf-8"))}
    peers = {sample.labels["state"]: sample.value
             for sample in found["mdgan_peers"].samples}
    check(sum(peers.values()) == 1000 and peers["live"] > 900, peers)
    check(found["mdgan_swaps"].type == "counter", "swaps are no counter")
    check(found["mdgan_answer_seconds"].type == "histogram",
          "answer times are no histogram")
    if shutil.which("promtool"):
        with urllib.request.urlopen(url + "metrics", timeout=PATIENCE) as answer:
            said = subprocess.run(["promtool", "check", "metrics"],
                                  input=answer.read(), capture_output=True)
        check(said.returncode == 0, said.stderr.decode())
    else:
        print("promtool is not here: it checks nothing")


def with_token(browser, program, folder, shots):
    run = fixtures.Run(folder / "token", peers=3, rounds=1000)
    token = folder / "page.token"
    token.touch(0o600)
    token.write_text(TOKEN + "\n", encoding="utf-8")
    viewer = Viewer(program, run.folder, "--http-token", str(token))
    try:
        open_page(browser, viewer.url)
        field = browser.find_element(By.ID, "token")
        eventually(field.is_displayed, "the question for the token")
        screenshot(browser, shots, "login")
        field.send_keys("wrong-token-000000", Keys.ENTER)
        eventually(lambda: "not the token" in text(browser, "denied"), "the refusal")
        field.clear()
        field.send_keys(TOKEN, Keys.ENTER)
        wait_for_run(browser)
        cookie, = browser.get_cookies()
        check(cookie["httpOnly"] and cookie["sameSite"] == "Strict"
              and TOKEN not in cookie["value"], f"the cookie is {cookie}")
        check_nothing_elsewhere(browser, viewer.url)
    finally:
        viewer.stop()


def main(binaries, shots=None):
    program = pathlib.Path(binaries) / "mdgan-server"
    shots = pathlib.Path(shots) if shots else None
    browser = start_browser()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for test in (few_peers, many_peers, with_token):
                test(browser, program, pathlib.Path(folder), shots)
                print(f"{test.__name__}: passed")
    finally:
        browser.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
