// Every page, light and dark, wide and narrow: shows what it should, and nothing on it is broken.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { check, launch, open, shoot, visit } from "./browser.mjs";
import { Server } from "./server.mjs";

let server;
let browser;
before(async () => {
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// Name, address, and text that a user must see there.
const pages = (s) => [
  ["home", "/", ["flights", "flights-late", "daily", "raw"]],
  [
    "lake",
    "/lake",
    ["raw", "an-empty-bucket-with-a-name-as-long-as-the-rules-of-s3-allow-it"],
  ],
  ["lake-bucket", "/lake/raw", ["flights/", "notes.json"]],
  [
    "lake-folder",
    "/lake/raw?prefix=flights/2013/",
    ["flights.csv", "month=12/"],
  ],
  [
    "lake-empty",
    "/lake/an-empty-bucket-with-a-name-as-long-as-the-rules-of-s3-allow-it",
    ["This bucket is empty"],
  ],
  ["lake-object", "/lake/raw/flights/2013/flights.csv", ["Size", "distance"]],
  [
    "lake-object-lineage",
    "/lake/raw/flights/2013/flights.csv?tab=lineage",
    ["flights"],
  ],
  ["lake-binary", "/lake/raw/binary.dat", ["This is binary"]],
  ["sql", "/sql?q=SELECT+*+FROM+flights&run=1", ["3,000 rows", "distance"]],
  [
    "sql-plot",
    "/sql?q=FROM+ml.by_hour&run=1&tab=plot&x=hour&y=share_late",
    ["share_late"],
  ],
  ["sql-history", "/sql?side=history", ["CREATE TABLE"]],
  ["sql-table", "/sql/tables/flights", ["Columns", "distance"]],
  ["sql-table-lineage", "/sql/tables/flights?tab=lineage", ["by_hour"]],
  ["pipelines", "/pipelines", ["daily", "failed", "0 6 * * * Europe/Berlin"]],
  ["pipelines-runs", "/pipelines?tab=runs", ["daily", "failed"]],
  ["pipeline", "/pipelines/daily", ["ingest", "report", "Run now"]],
  ["pipeline-text", "/pipelines/daily?tab=text", ['"steps"']],
  [
    "pipeline-run",
    `/pipelines/runs/${s.flow_run}`,
    ["the report failed as asked", "exit 3"],
  ],
  ["runs", "/runs", ["flights"]],
  [
    "runs-experiment",
    `/runs/${s.experiment}`,
    ["lightgbm-31-leaves", "auc", "num_leaves"],
  ],
  [
    "run",
    `/runs/${s.experiment}/${s.runs[1]}`,
    ["num_leaves", "log_loss", "training"],
  ],
  ["run-charts", `/runs/${s.experiment}/${s.runs[1]}?tab=charts`, ["log_loss"]],
  [
    "run-artifacts",
    `/runs/${s.experiment}/${s.runs[1]}?tab=artifacts&folder=report&file=report/summary.md`,
    ["All is well."],
  ],
  [
    "run-lineage",
    `/runs/${s.experiment}/${s.runs[1]}?tab=lineage`,
    ["flights-late"],
  ],
  [
    "runs-compare",
    `/runs/compare?runs=${s.runs.join(",")}`,
    ["num_leaves", "auc"],
  ],
  [
    "runs-compare-charts",
    `/runs/compare?runs=${s.runs.join(",")}&tab=charts`,
    ["log_loss"],
  ],
  ["models", "/models", ["flights-late", "champion"]],
  ["model", "/models/flights-late", ["v2", "v1", "champion"]],
  ["model-version", "/models/flights-late?version=2", ["Version 2", "sha256:"]],
  ["model-aliases", "/models/flights-late?tab=aliases", ["v1 → v2"]],
  ["model-lineage", "/models/flights-late?tab=lineage", ["flights-late"]],
  ["endpoints", "/endpoints", ["flights", "ready", "v2"]],
  [
    "endpoint",
    "/endpoints/flights",
    ["flights-late@champion", "Latency of the newest"],
  ],
  [
    "endpoint-try",
    "/endpoints/flights?tab=try",
    ["Predict", "dataframe_split"],
  ],
  [
    "endpoint-signature",
    "/endpoints/flights?tab=signature",
    ["distance", "double"],
  ],
  ["endpoint-lineage", "/endpoints/flights?tab=lineage", ["flights-late"]],
  [
    "prediction",
    `/predictions/${s.prediction}`,
    ["Why", "distance", "flights-late v2"],
  ],
  ["lineage", "/lineage", ["Explain"]],
  ["admin-users", "/admin", ["admin", "ada", "delays"]],
  ["admin-tokens", "/admin?tab=tokens", ["active", "Revoke"]],
  ["admin-audit", "/admin?tab=audit", ["user.create"]],
  ["admin-nodes", "/admin?tab=nodes", ["cores"]],
  ["kit", "/kit", ["Grid, 100,000 rows", "A dialog"]],
  ["missing", "/lake-with-a-typo", []],
];

const sizes = [
  ["wide", 1280, 900],
  ["narrow", 390, 844],
];
for (const theme of ["light", "dark"]) {
  for (const [size, width, height] of sizes) {
    describe(`${theme}, ${size}`, () => {
      it("shows every page whole, with no fault on it", async (test) => {
        for (const [name, path, texts] of pages(server.seeded)) {
          if (name === "missing") continue;
          await test.test(name, async () => {
            const page = await open(browser, server, { theme, width, height });
            try {
              await visit(page, server, path);
              for (const text of texts) {
                if (text === "A dialog") continue;
                await page
                  .locator("main")
                  .getByText(text)
                  .filter({ visible: true })
                  .first()
                  .waitFor();
              }
              await shoot(page, `${name}-${theme}-${width}`);
              await check(page, name);
            } finally {
              await page.context().close();
            }
          });
        }
      });
    });
  }
}

it("answers the commands of every page with the page", async () => {
  const page = await open(browser, server);
  await visit(page, server, "/endpoints/flights?code=1");
  const commands = page.getByRole("region", { name: "As CLI, curl, Python" });
  await commands.getByRole("button", { name: "curl" }).click();
  const shown = await commands.locator("pre").innerText();
  assert.match(shown, /\/endpoints\/flights\/invocations/);
  await page.context().close();
});
