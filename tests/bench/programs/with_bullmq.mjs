// BullMQ: `work` runs tasks until killed; else a producer with the arguments of producer.py.
import { openSync, statSync, writeSync } from "node:fs";
import { Queue, Worker } from "bullmq";

const START = 1000, CHUNK = 1000, LIMIT_MS = 20000;
const connection = { host: "127.0.0.1", port: Number(process.env.BENCH_PORT), maxRetriesPerRequest: null };
const records = process.env.BENCH_RECORDS;
const now = () => process.hrtime.bigint();
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function work() {
  const file = openSync(records, "a");
  const pid = BigInt(process.pid) << 32n;
  const worker = new Worker("bench", async (job) => {
    const start = now();
    const until = process.cpuUsage();
    const wanted = job.data.ms * 1000;
    for (let used = { user: 0, system: 0 }; used.user + used.system < wanted; ) used = process.cpuUsage(until);
    const record = Buffer.allocUnsafe(24);
    record.writeBigInt64LE(pid | BigInt(job.data.n), 0);
    record.writeBigInt64LE(start, 8);
    record.writeBigInt64LE(now(), 16);
    writeSync(file, record);
  }, { connection, concurrency: 50 });
  worker.on("error", (error) => console.error(error));
}

async function latency(queue, count, ms) {
  const sent = [];
  for (let n = 0; n < count; n++) {
    const size = statSync(records).size;
    const moment = now();
    sent.push(String(moment));
    await queue.add("noop", { n: START + n, ms });
    const limit = Date.now() + LIMIT_MS;
    while (statSync(records).size === size) {
      if (Date.now() > limit) throw new Error(`task ${n} did not run`);
      await sleep(1);
    }
    await sleep(2 + Math.random() * 4);
  }
  console.log(`{"sent": [${sent.join(",")}]}`);
}

async function produce(action, count, ms) {
  const queue = new Queue("bench", { connection });
  if (action === "latency") {
    await latency(queue, count, ms);
  } else {
    if (action !== "fill") await queue.add("noop", { n: 0, ms: 0 });
    const began = now();
    if (action === "single") {
      for (let n = 0; n < count; n++) await queue.add("noop", { n: START + n, ms });
    } else {
      for (let at = 0; at < count; at += CHUNK) {
        const size = Math.min(CHUNK, count - at);
        await queue.addBulk(Array.from({ length: size }, (_, i) => ({ name: "noop", data: { n: START + at + i, ms } })));
      }
    }
    console.log(JSON.stringify({ seconds: Number(now() - began) / 1e9 }));
  }
  await queue.close();
}

const [action, count, ms] = process.argv.slice(2);
if (action === "work") work();
else await produce(action, Number(count), Number(ms));
