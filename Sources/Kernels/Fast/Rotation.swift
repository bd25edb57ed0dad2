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
  let width = shape.heads * shape.headSize
  let size = max(1, elementsPerTile / max(1, width))
  let runs = (shape.length + size - 1) / size
  let kernelShape = karat_rotation(
    heads: shape.heads,
    head_size: shape.headSize,
    first: shape.rotated.lowerBound,
    pairs: shape.rotated.count / 2,
    neighbours: shape.pairing == .neighbours
  )
  workers.forEachTile(shape.batch * runs) { tile in
    let first = tile % runs * size
    let offset = (tile / runs * shape.length + first) * width
    let angle = (start + first) * (shape.rotated.count / 2)
    withUnsafePointer(to: kernelShape) {
      kernels.rope(
        $0,
        x + offset,
        min(size, shape.length - first),
        cosines + angle,
        sines + angle,
        out + offset
      )
    }
  }
}
