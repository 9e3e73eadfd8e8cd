// Flags and their rules in words.

import type { Mood } from '../../kit/State.svelte';

export function mood_of_flag(state: string): Mood {
  if (state === 'on') return 'good';
  return state === 'off' ? 'idle' : 'bad';
}

export function value_text(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

const percent = (share: number) => `${Math.round(share * 1000) / 10} %`;

export interface RuleWords {
  gives: string;
  whom: string[];
}

// What a rule gives and to whom, as a person would say it.
export function rule_words(given: unknown): RuleWords {
  const rule = given as Record<string, unknown>;
  const whom: string[] = [];
  if (rule.condition) whom.push(`where ${JSON.stringify(rule.condition)}`);
  for (const parent of (rule.parentConditions as { id: string; condition: unknown }[]) ?? [])
    whom.push(`if ${parent.id} has ${JSON.stringify(parent.condition)}`);
  if (typeof rule.coverage === 'number') whom.push(`for ${percent(rule.coverage)} of them`);
  for (const step of (rule.ramp as { at: string; coverage: number }[]) ?? [])
    whom.push(`${percent(step.coverage)} from ${step.at}`);
  const layer = rule.layer as { name: string; range: number[] } | undefined;
  if (layer) whom.push(`in ${layer.range.map(percent).join(' to ')} of layer ${layer.name}`);
  if (!whom.length) whom.push('everyone');
  if (!Array.isArray(rule.variations)) return { gives: value_text(rule.force), whom };
  const meta = (rule.meta as { key?: string; name?: string }[]) ?? [];
  const weights = (rule.weights as number[]) ?? [];
  const equal = 1 / rule.variations.length;
  const arms = rule.variations.map((value, i) => {
    const name = meta[i]?.name ?? meta[i]?.key ?? String(i);
    return `${name} ${percent(weights[i] ?? equal)}: ${value_text(value)}`;
  });
  return { gives: `experiment ${String(rule.key)}: ${arms.join(', ')}`, whom };
}
