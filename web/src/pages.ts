// All pages and their addresses. Each is loaded when it is first opened, and all of them once the
// browser is idle.

import type { PageRoute } from './lib/router.svelte';

export const pages: PageRoute[] = [
  { pattern: '/', title: 'Home', load: () => import('./pages/home/Home.svelte') },
  { pattern: '/lake', title: 'Lake', load: () => import('./pages/lake/Buckets.svelte') },
  { pattern: '/lake/{bucket}', title: 'Bucket', load: () => import('./pages/lake/Bucket.svelte') },
  {
    pattern: '/lake/{bucket}/{key+}',
    title: 'Object',
    load: () => import('./pages/lake/Object.svelte'),
  },
  { pattern: '/sql', title: 'SQL', load: () => import('./pages/sql/Sql.svelte') },
  { pattern: '/sql/tables/{name}', title: 'Table', load: () => import('./pages/sql/Table.svelte') },
  {
    pattern: '/features',
    title: 'Features',
    load: () => import('./pages/features/Features.svelte'),
  },
  {
    pattern: '/features/{kind}/{name}',
    title: 'Definition of features',
    load: () => import('./pages/features/FeaturePage.svelte'),
  },
  {
    pattern: '/pipelines',
    title: 'Pipelines',
    load: () => import('./pages/pipelines/Pipelines.svelte'),
  },
  {
    pattern: '/pipelines/runs/{id}',
    title: 'Pipeline run',
    load: () => import('./pages/pipelines/FlowRun.svelte'),
  },
  {
    pattern: '/pipelines/{name}',
    title: 'Pipeline',
    load: () => import('./pages/pipelines/Flow.svelte'),
  },
  { pattern: '/runs', title: 'Runs', load: () => import('./pages/runs/Experiments.svelte') },
  {
    pattern: '/runs/compare',
    title: 'Compare runs',
    load: () => import('./pages/runs/Compare.svelte'),
  },
  {
    pattern: '/runs/{experiment}',
    title: 'Experiment',
    load: () => import('./pages/runs/Runs.svelte'),
  },
  {
    pattern: '/runs/{experiment}/{run}',
    title: 'Run',
    load: () => import('./pages/runs/Run.svelte'),
  },
  { pattern: '/models', title: 'Models', load: () => import('./pages/models/Models.svelte') },
  { pattern: '/models/{name}', title: 'Model', load: () => import('./pages/models/Model.svelte') },
  {
    pattern: '/endpoints',
    title: 'Endpoints',
    load: () => import('./pages/endpoints/Endpoints.svelte'),
  },
  {
    pattern: '/endpoints/{name}',
    title: 'Endpoint',
    load: () => import('./pages/endpoints/Endpoint.svelte'),
  },
  {
    pattern: '/monitors',
    title: 'Monitors',
    load: () => import('./pages/monitors/Monitors.svelte'),
  },
  {
    pattern: '/monitors/{name}',
    title: 'Monitor',
    load: () => import('./pages/monitors/Monitor.svelte'),
  },
  {
    pattern: '/predictions/{id}',
    title: 'Prediction',
    load: () => import('./pages/endpoints/Prediction.svelte'),
  },
  {
    pattern: '/releases',
    title: 'Releases',
    load: () => import('./pages/releases/Releases.svelte'),
  },
  {
    pattern: '/releases/{id}',
    title: 'Release',
    load: () => import('./pages/releases/ReleasePage.svelte'),
  },
  { pattern: '/flags', title: 'Flags', load: () => import('./pages/flags/Flags.svelte') },
  { pattern: '/flags/{name}', title: 'Flag', load: () => import('./pages/flags/FlagPage.svelte') },
  {
    pattern: '/experiments',
    title: 'Experiments',
    load: () => import('./pages/experiments/FlagExperiments.svelte'),
  },
  {
    pattern: '/experiments/{name}',
    title: 'Experiment report',
    load: () => import('./pages/experiments/Report.svelte'),
  },
  {
    pattern: '/lineage',
    title: 'Lineage',
    load: () => import('./pages/lineage/LineagePage.svelte'),
  },
  { pattern: '/admin', title: 'Admin', load: () => import('./pages/admin/Admin.svelte') },
  { pattern: '/kit', title: 'Kit', load: () => import('./pages/kit/Kit.svelte') },
];
