import { beforeEach, expect, test } from "vitest";
import { ChangeOver, type Surface } from "./change-over";

class FakeSurface implements Surface<string> {
  track: string | undefined;
  isFront = false;
  /** Whether a picture of the track is on it. */
  picture = false;
  #waiting: (() => void) | undefined;

  play(track: string | undefined): void {
    this.track = track;
    this.picture = false;
  }
  whenShown(then: () => void): () => void {
    this.#waiting = then;
    return () => (this.#waiting = undefined);
  }
  front(front: boolean): void {
    this.isFront = front;
  }
  /** The first picture comes. */
  paint(): void {
    this.picture = true;
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

let one: FakeSurface;
let other: FakeSurface;
let change: ChangeOver<string>;
const front = () => [one, other].filter((surface) => surface.isFront).map(({ track }) => track);

beforeEach(() => {
  [one, other] = [new FakeSurface(), new FakeSurface()];
  change = new ChangeOver(one, other);
  change.show("old");
  one.paint();
});

test("the old picture stays until the new one is there, and then lets its track go", () => {
  change.show("new");
  expect([front(), one.picture, other.track]).toEqual([["old"], true, "new"]);
  other.paint();
  expect([front(), other.picture, one.track]).toEqual([["new"], true, undefined]);
  // And back again.
  change.show("third");
  expect(front()).toEqual(["new"]);
  one.paint();
  expect([front(), other.track]).toEqual([["third"], undefined]);
});

test("a change that is overtaken by another one, or taken back, shows nothing of its own", () => {
  change.show("new");
  change.show("newer");
  expect([front(), other.track]).toEqual([["old"], "newer"]);
  change.show("old");
  expect([front(), other.track]).toEqual([["old"], undefined]);
  other.paint();
  expect(front()).toEqual(["old"]);
  change.show("new");
  change.show("new");
  other.paint();
  expect(front()).toEqual(["new"]);
});

test("what ends is gone at once, even in the middle of a change", () => {
  change.show("new");
  change.show(undefined);
  expect([one.track, other.track]).toEqual([undefined, undefined]);
  other.paint();
  expect(front()).toEqual([undefined]);
  change.show("next");
  expect(front()).toEqual(["next"]);
});

test("who counts pictures hears which surface is in front", () => {
  const fronts: unknown[] = [];
  const [first, second] = [new FakeSurface(), new FakeSurface()];
  const told = new ChangeOver<string>(first, second, (surface) => fronts.push(surface));
  told.show("old");
  told.show("new");
  expect(fronts).toEqual([]);
  second.paint();
  expect(fronts).toEqual([second]);
});
