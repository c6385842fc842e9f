import { type LocalCdn, startLocalCdn } from '../support/local-cdn';
import { killEdgeContainers, killL1, setDesiredTasks, taskMetric, waitUntil } from '../support/local-operations';
import { freshFeatures, type Prediction, REGIONS, type Region, traffic, Viewers } from '../support/local-viewers';
import { mlcdn } from '../support/operator-cli';

/** The region that goes, and where its viewers are served meanwhile. */
const GONE: Region = 'eu-west-1';
const NEXT: Region = 'us-east-1';
const OTHERS = REGIONS.filter((region) => region !== GONE);
const L1_HEALTHY = `cdn_cache_tier_healthy{cache_level="l1",region="${GONE}"}`;

jest.setTimeout(120_000);

let cdn: LocalCdn;
const viewers = new Viewers(() => cdn.connection.url);

beforeAll(async () => {
  cdn = await startLocalCdn({ port: 18_082 });
}, 300_000);

afterAll(async () => {
  await cdn?.interrupt();
}, 60_000);

/** Viewers of every region that ask for new predictions, and for an old one over and over. */
function load() {
  const repeated = freshFeatures();
  const of = (region: Region) => ({
    gets: traffic(async () => (await viewers.get(region, freshFeatures())).body),
    posts: traffic(async () => (await viewers.post(region, freshFeatures())).body),
    repeats: traffic(async () => (await viewers.post(region, repeated)).body),
  });
  const near = Object.fromEntries(REGIONS.map((region) => [region, of(region)])) as Record<
    Region,
    ReturnType<typeof of>
  >;
  const all = Object.values(near).flatMap(({ gets, posts, repeats }) => [gets, posts, repeats]);
  return {
    near,
    warm: () => waitUntil(() => all.every(({ answers }) => answers.length > 5)),
    stop: () => Promise.all(all.map((run) => run.stop())),
    failures: () => all.flatMap(({ failures }) => failures),
    /** Answers to the question that is asked over and over, whoever asked. */
    repeatedAnswers: () =>
      new Set(Object.values(near).flatMap(({ repeats }) => repeats.answers.map(({ prediction }) => prediction))),
  };
}

const lastRegion = ({ answers }: { answers: Prediction[] }) => answers.at(-1)?.edge_region;

test('a drained region is left by GETs and POSTs, and none fails; undrained, it has its viewers again', async () => {
  const running = load();
  const { gets, posts } = running.near[GONE];
  await running.warm();
  expect([lastRegion(gets), lastRegion(posts)]).toEqual([GONE, GONE]);
  const { effectiveWithinSeconds } = await mlcdn('drain', GONE);
  await waitUntil(() => [gets, posts].every((run) => lastRegion(run) === NEXT), Number(effectiveWithinSeconds));
  const moved = posts.answers.length;
  await waitUntil(() => posts.answers.length > moved + 20);
  expect(new Set(posts.answers.slice(moved).map(({ edge_region }) => edge_region))).toEqual(new Set([NEXT]));
  await mlcdn('undrain', GONE);
  await waitUntil(() => [gets, posts].every((run) => lastRegion(run) === GONE));
  await running.stop();
  expect(running.failures()).toEqual([]);
  expect(running.repeatedAnswers().size).toBe(1);
  for (const region of OTHERS) expect(lastRegion(running.near[region].posts)).toBe(region);
});

test('a region whose Valkey is lost goes on without it, with no failure and no wrong answer, and takes it back', async () => {
  const running = load();
  await running.warm();
  expect(await taskMetric(cdn.connection, GONE, L1_HEALTHY)).toEqual([1]);
  await killL1(cdn.connection, GONE);
  await waitUntil(async () => (await taskMetric(cdn.connection, GONE, L1_HEALTHY))[0] === 0);
  await waitUntil(async () => (await taskMetric(cdn.connection, GONE, L1_HEALTHY))[0] === 1);
  const { posts } = running.near[GONE];
  const recovered = posts.answers.length;
  await waitUntil(() => posts.answers.length > recovered + 5);
  await running.stop();
  expect(running.failures()).toEqual([]);
  expect(running.repeatedAnswers().size).toBe(1);
  expect(lastRegion(posts)).toBe(GONE);
  // What is purged now reaches the region: its tasks follow the new control log.
  const features = freshFeatures();
  await viewers.post(GONE, features);
  expect((await viewers.post(GONE, features)).tier).toBe('memory');
  await mlcdn('invalidate', '--model', 'ranker', '--wait');
  expect((await viewers.post(GONE, features)).tier).toBe('computed');
});

test('a region that is lost is served by the next one: no GET fails, and no POST whose client sends it again', async () => {
  const gets = traffic(async () => (await viewers.get(GONE, freshFeatures())).body);
  const posts = traffic(() => viewers.postUntilAnswered(GONE, freshFeatures()));
  await waitUntil(() => gets.answers.length > 5 && posts.answers.length > 5);
  await setDesiredTasks(cdn.connection, GONE, 0);
  await killEdgeContainers(cdn.connection, GONE);
  await waitUntil(() => [gets, posts].every((run) => lastRegion(run) === NEXT));
  await setDesiredTasks(cdn.connection, GONE, 1);
  await waitUntil(() => [gets, posts].every((run) => lastRegion(run) === GONE));
  await Promise.all([gets.stop(), posts.stop()]);
  expect([...gets.failures, ...posts.failures]).toEqual([]);
});
