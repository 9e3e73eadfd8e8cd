// A pipeline's parts as the graph, the Gantt chart and the lists show them.

import type {
  FlowRun,
  FlowSpec,
  FlowStep,
  FlowTrigger,
  RunStep,
  Usage,
  RunCost,
} from '../../generated/api';
import { between, bytes, cost as cost_of, duration } from '../../lib/format';
import type { GraphEdge, GraphNode } from '../../kit/charts/Graph.svelte';
import { mood_of } from '../../kit/State.svelte';

export function trigger_text(trigger: FlowTrigger): string {
  if (trigger.cron) return `${trigger.cron} ${trigger.timezone ?? 'UTC'}`;
  const where = trigger.bucket ? ` in ${trigger.bucket}/${trigger.prefix ?? ''}` : '';
  return `on ${trigger.event}${where}`;
}

// "ready" is a step that waits for room; elsewhere the word means that something works.
export function step_state(state: string): string {
  return state === 'ready' ? 'queued' : state;
}

// A command is a text for the shell, or a program and its arguments.
function work_of(step: FlowStep): string {
  if (step.python) return `Python ${step.python}`;
  return [step.command ?? []].flat().join(' ');
}

export function spec_graph(spec: FlowSpec): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const steps = Object.entries(spec.steps);
  return {
    nodes: steps.map(([name, step]) => ({
      id: name,
      title: name,
      icon: 'play' as const,
      note: work_of(step),
    })),
    edges: steps.flatMap(([name, step]) => (step.needs ?? []).map((from) => ({ from, to: name }))),
  };
}

export function run_graph(run: FlowRun, now: number): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const steps = run.steps ?? [];
  return {
    nodes: steps.map((step) => ({
      id: step.step,
      title: step.step,
      mood: mood_of(step_state(step.state)),
      icon: icon_of(step.state),
      note: step_note(step, now),
    })),
    edges: steps.flatMap((step) => step.needs.map((from) => ({ from, to: step.step }))),
  };
}

function icon_of(state: string): GraphNode['icon'] {
  const mood = mood_of(step_state(state));
  return mood === 'good'
    ? 'check'
    : mood === 'bad'
      ? 'cross'
      : mood === 'running'
        ? 'play'
        : 'clock';
}

export function step_note(step: RunStep, now: number): string {
  const last = step.attempts.at(-1);
  const state = step_state(step.state).replace('_', ' ');
  return last?.started ? `${state} · ${between(last.started, last.finished, now)}` : state;
}

export function ending_of(attempt: RunStep['attempts'][number]): string {
  if (attempt.exit_code === null) return attempt.state;
  const code =
    attempt.ending === 'exited'
      ? `exit ${attempt.exit_code}`
      : (attempt.ending ?? '').replaceAll('_', ' ');
  return attempt.message ? `${code}: ${attempt.message}` : code;
}

export function usage_text(usage: Usage | null): string {
  if (!usage) return '–';
  return `${duration(usage.cpu_seconds * 1000)} CPU, ${bytes(usage.max_rss_bytes)} memory`;
}

type Costly = Pick<RunCost, 'cost' | 'currency' | 'costs'>;

// What the node's time cost, each currency by itself; `exact` with all digits.
export function cost_text(of: Costly, exact = false): string {
  const sums = of.costs ?? [of];
  const texts = sums.flatMap(({ cost, currency }) => {
    if (cost === null || cost === undefined) return [];
    return exact ? `${cost} ${currency ?? ''}`.trim() : cost_of(cost, currency ?? '');
  });
  return texts.join(' + ') || 'no price is set';
}

export const is_over = (state: string) => ['succeeded', 'failed', 'cancelled'].includes(state);

export function attempt_state(attempt: RunStep['attempts'][number]): string {
  if (attempt.exit_code === null) return attempt.state;
  if (attempt.ending === 'cancelled') return 'cancelled';
  return attempt.ending === 'exited' && attempt.exit_code === 0 ? 'succeeded' : 'failed';
}
