import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport

/// The content of the golden files of version 1, from which they were written.
///
/// Neither this content nor the files may change: they show that version 1 is read for ever.
enum GoldenFiles {
  /// The example of `formats/kcf.md`.
  static let example = MemorySource(
    ["a": Tensor(.bf16, [2, 2], copying: [0x3f80, 0xbf80, 0x4049, 0x0000] as [UInt16])],
    metadata: ["format": "pt"]
  )

  /// A tensor of every type, in every codec and filter.
  static let types: MemorySource = {
    var tensors: [TensorName: Tensor] = [:]
    var numbers = Numbers(seed: 11)
    for dtype in plain {
      let width = dtype.block.bytes
      // Exponents agree, mantissas do not: what filters are made for.
      tensors[TensorName("weights.\(dtype.rawValue)")] = tensor(dtype, max(1, 640 / width)) {
        place in
        place % width == width - 1 ? 0x3c + UInt8(numbers.next() % 2) : UInt8(numbers.next() & 255)
      }
      tensors[TensorName("noise.\(dtype.rawValue)")] = tensor(dtype, width > 8 ? 1 : 5) { _ in
        UInt8(numbers.next() & 255)
      }
    }
    tensors["text"] = tensor(.u8, 300) { Array("chunked ".utf8)[$0 * $0 % 8] }
    tensors["fill.1"] = tensor(.u8, 100) { _ in 7 }
    tensors["fill.2"] = tensor(.bf16, 100) { [0x80, 0x3f][$0 % 2] }
    tensors["fill.4"] = tensor(.f32, 100) { [1, 2, 3, 4][$0 % 4] }
    tensors["fill.8"] = tensor(.i64, 100) { [1, 2, 3, 4, 5, 6, 7, 8][$0 % 8] }
    tensors["empty"] = Tensor([] as [Float], shape: [3, 0, 2])
    tensors["scalar"] = Tensor([1.5], shape: [])
    tensors["équal"] = tensor(.u8, 100) { _ in 7 }
    return MemorySource(tensors, metadata: ["é": "ü", "": "", "format": "pt"])
  }()

  static let attachments: [String: [UInt8]] = [
    "config.json": Array(#"{"model_type":"golden"}"#.utf8),
    "1_Pooling/config.json": Array("{}".utf8),
    "empty": [],
  ]

  /// What `delta` is a difference from.
  static let base = weights(seed: 12)

  /// The base with its lowest bits changed, and a tensor that the base does not have.
  static let delta: MemorySource = {
    var numbers = Numbers(seed: 13)
    var tensors: [TensorName: Tensor] = [:]
    for name in base.manifest.names {
      guard let elements = try? base.tensor(name).elements(as: UInt16.self) else { continue }
      tensors[name] = Tensor(
        .bf16,
        [elements.count],
        copying: elements.map { $0 ^ UInt16(numbers.next() % 2) }
      )
    }
    tensors["new"] = tensor(.f32, 3) { UInt8($0) }
    return MemorySource(tensors)
  }()

  /// What a second generation adds to `base`, and replaces in it.
  static let added = MemorySource(
    ["weights.1": Tensor([1, 2, 3], shape: [3]), "later": Tensor([4], shape: [])],
    metadata: ["step": "2"]
  )

  private static func weights(seed: UInt64) -> MemorySource {
    var numbers = Numbers(seed: seed)
    var tensors: [TensorName: Tensor] = [:]
    for number in 0..<3 {
      let elements = (0..<300).map { _ in UInt16(0x3c00) + UInt16(numbers.next() % 512) }
      tensors[TensorName("weights.\(number)")] = Tensor(.bf16, [300], copying: elements)
    }
    return MemorySource(tensors, metadata: ["step": "1"])
  }

  /// The types of version 1; Karat may come to know more.
  private static let plain = DType.allCases.filter { dtype in
    !dtype.isQuantizedBlock || blocks.contains(dtype.rawValue)
  }
  private static let blocks = [
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "Q2_K", "Q3_K", "IQ1_S",
    "IQ1_M",
    "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4",
    "NVFP4",
  ]

  private static func tensor(_ dtype: DType, _ blocks: Int, _ byte: (Int) -> UInt8) -> Tensor {
    let count = blocks * dtype.block.elements
    return Tensor(dtype, [count]) { buffer in
      for place in buffer.indices { buffer[place] = byte(place) }
    }
  }
}
