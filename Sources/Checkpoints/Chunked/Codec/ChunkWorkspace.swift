import KaratBytes
import KaratTensors

/// Work memory for one chunk, and the choices that need some.
///
/// Choices are made by trying on a sample; they cost about a tenth of the compression.
final class ChunkWorkspace {
  /// Room for all planes of a chunk.
  let planes = ChunkWorkspace.memory(ChunkCodec.largestChunk)

  private let sample = ChunkWorkspace.memory(sampleSize)
  private let sampledPlanes = ChunkWorkspace.memory(sampleSize)
  private let trial = ChunkWorkspace.memory(sampleSize)

  private static let sampleSize = 1 << 14
  private static let samplePieces = 4
  /// Finds repetitions, where a sample shows that there are some.
  private static let thorough = Zstandard.Effort.level(3)

  deinit {
    for memory in [planes, sample, sampledPlanes, trial] { memory.deallocate() }
  }

  private static func memory(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    .allocate(byteCount: byteCount, alignment: 64)
  }

  /// Compresses bytes into one frame, or gives nil where that saves less than a 32nd.
  func compress(
    _ bytes: UnsafeRawBufferPointer,
    into target: UnsafeMutableRawBufferPointer
  ) -> Int? {
    let room = target.part(..<min(target.count, bytes.count - max(1, bytes.count / 32)))
    let sample = sample(of: bytes)
    let entropy = trialSize(sample, .entropy)
    let thorough = trialSize(sample, Self.thorough)
    // Repetitions are slow to find and to undo: they have to be worth it.
    let effort = thorough * 16 < entropy * 15 ? Self.thorough : .entropy
    return Zstandard.compress(bytes, into: room, effort)
  }

  /// Of the filters that suit a type, the one that makes a sample smallest.
  func bestFilter(for raw: UnsafeRawBufferPointer, of dtype: DType) -> ChunkEncoding.Filter {
    let filters = ChunkEncoding.Filter.candidates(for: dtype)
      .filter { Planes($0)?.size(ofChunk: raw.count) != nil || $0 == .none }
    guard let first = filters.first, filters.count > 1 else { return filters.first ?? .none }
    let sample = sample(of: raw)
    var best = (filter: first, size: size(sample, under: first))
    for filter in filters.dropFirst() {
      let size = size(sample, under: filter)
      if size * 32 < best.size * 31 { best = (filter, size) }
    }
    return best.filter
  }

  private func size(_ sample: UnsafeRawBufferPointer, under filter: ChunkEncoding.Filter) -> Int {
    guard let planes = Planes(filter) else { return trialSize(sample, .entropy) }
    planes.split(sample, into: sampledPlanes.part(..<sample.count))
    let size = sample.count / planes.count
    return (0..<planes.count).reduce(0) { sum, plane in
      let bytes = sampledPlanes.part(plane * size..<(plane + 1) * size)
      return sum + trialSize(UnsafeRawBufferPointer(bytes), .entropy)
    }
  }

  private func trialSize(_ bytes: UnsafeRawBufferPointer, _ effort: Zstandard.Effort) -> Int {
    Zstandard.compress(bytes, into: trial.part(..<bytes.count), effort) ?? bytes.count
  }

  /// Pieces from all over the bytes, or all of them where they are few.
  private func sample(of bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard bytes.count > Self.sampleSize else { return bytes }
    let piece = Self.sampleSize / Self.samplePieces
    // Multiples of 8, so that an element is not cut.
    let step = (bytes.count - piece) / (Self.samplePieces - 1) / 8 * 8
    for index in 0..<Self.samplePieces {
      sample.part(index * piece..<(index + 1) * piece)
        .copyMemory(from: bytes.part(index * step..<index * step + piece))
    }
    return UnsafeRawBufferPointer(sample)
  }
}

extension ChunkEncoding.Filter {
  /// The filters that may suit a type, the fastest to undo first.
  fileprivate static func candidates(for dtype: DType) -> [ChunkEncoding.Filter] {
    switch dtype {
    case .bf16, .f16: [.float2]
    case .f32, .c64: [.float4]
    case .f64: [.float8]
    case .i16, .u16: [.bytes2]
    case .i32, .u32: [.bytes4]
    case .i64, .u64: [.bytes8]
    case .f8E4M3, .f8E4M3FNUZ, .f8E5M2, .f8E5M2FNUZ: [.float1, .none]
    case .i8: [.halves, .none]
    default: [.none]
    }
  }
}
