import CKernels

/// Which elements of a head rotary positions turn together.
package enum RotaryPairing: Sendable, Hashable {
  /// The first half's with the second half's: i and i + n/2 of n, as most checkpoints have it.
  case halves
  /// Neighbours: 2i and 2i + 1.
  case neighbours
}

/// What rotary positions are applied to, and how large it is.
package struct RotaryShape: Sendable, Hashable {
  /// Sequences, and tokens of each.
  package var batch, length: Int
  /// Heads of a token, and elements of one.
  package var heads, headSize: Int
  /// Which elements of each head turn, an even number.
  package var rotated: Range<Int>
  /// Which of them are a pair.
  package var pairing: RotaryPairing

  /// States all sizes.
  package init(
    batch: Int,
    length: Int,
    heads: Int,
    headSize: Int,
    rotated: Range<Int>,
    pairing: RotaryPairing
  ) {
    precondition(rotated.count % 2 == 0, "rotary positions turn pairs")
    precondition(rotated.lowerBound >= 0 && rotated.upperBound <= headSize)
    self.batch = batch
    self.length = length
    self.heads = heads
    self.headSize = headSize
    self.rotated = rotated
    self.pairing = pairing
  }
}

/// Rotates queries or keys by their positions (RoPE).
///
/// x and out are [batch, length, heads, headSize]; element t of a sequence uses row `start + t` of
/// cosines and sines [positions, rotated.count / 2]. `out` may be `x`.
package func rope(
  x: UnsafePointer<Float>,
  shape: RotaryShape,
  cosines: UnsafePointer<Float>,
  sines: UnsafePointer<Float>,
  start: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  forEachRunOfPositions(shape, start: start, on: workers) { rotation, run in
    kernels.rope(
      rotation,
      x + run.offset,
      run.positions,
      cosines + run.angle,
      sines + run.angle,
      out + run.offset
    )
  }
}

/// Some positions of one sequence: where their elements and their angles begin, and their number.
struct RotaryRun {
  let offset, angle, positions: Int
}

/// Cuts sequences into runs of positions, each of about a tile of elements.
func forEachRunOfPositions(
  _ shape: RotaryShape,
  start: Int,
  on workers: Workers,
  _ body: (UnsafePointer<karat_rotation>, RotaryRun) -> Void
) {
  let width = shape.heads * shape.headSize
  let size = max(1, elementsPerTile / max(1, width))
  let runs = (shape.length + size - 1) / size
  let rotation = karat_rotation(
    heads: shape.heads,
    head_size: shape.headSize,
    first: shape.rotated.lowerBound,
    pairs: shape.rotated.count / 2,
    neighbours: shape.pairing == .neighbours
  )
  workers.forEachTile(shape.batch * runs) { tile in
    let first = tile % runs * size
    let run = RotaryRun(
      offset: (tile / runs * shape.length + first) * width,
      angle: (start + first) * (shape.rotated.count / 2),
      positions: min(size, shape.length - first)
    )
    withUnsafePointer(to: rotation) { body($0, run) }
  }
}
