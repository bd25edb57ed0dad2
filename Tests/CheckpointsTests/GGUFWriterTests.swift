import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

@Suite struct GGUFWriterTests {
  /// Metadata of every type.
  private var metadata: GGUFMetadata {
    var metadata = GGUFMetadata()
    let values: [GGUFValue] = [
      .uint8(1), .int8(-1), .uint16(2), .int16(-2), .uint32(3), .int32(-3), .float32(0.5),
      .bool(true), .string("é\0 ü"), .uint64(.max), .int64(.min), .float64(-0.25),
      .array(.uint8([1, 2])), .array(.int8([-1])), .array(.uint16([])), .array(.int16([-2, 2])),
      .array(.uint32([3])), .array(.int32([-3])), .array(.float32([1, -2])),
      .array(.bool([true, false])), .array(.string(["", "x"])), .array(.uint64([.max])),
      .array(.int64([.min])), .array(.float64([2])),
    ]
    for (index, value) in values.enumerated() { metadata.append("k.\(index)", value) }
    return metadata
  }

  /// A tensor of every type that GGUF knows.
  private func tensors() throws -> MemorySource {
    let blocks = try SafetensorsReader(fixture("arithmetic/gguf-blocks.safetensors"))
    var tensors: [TensorName: Tensor] = [
      "f32": Tensor([1, -2, .nan], shape: [3]),
      "f16": Tensor(.f16, [1, 2, 1, 1], copying: [0x3c00, 0x8000] as [UInt16]),
      "bf16": Tensor(.bf16, [], copying: [0x3f80] as [UInt16]),
      "f64": Tensor(.f64, [1], copying: [-1.5]),
      "i8": Tensor(.i8, [0], copying: [] as [Int8]),
      "i16": Tensor(.i16, [2], copying: [-1, 1] as [Int16]),
      "i32": Tensor(.i32, [1], copying: [7] as [Int32]),
      "i64": Tensor(.i64, [1], copying: [-7]),
    ]
    for dtype in DType.allCases.filter(\.isQuantizedBlock) {
      let raw = try blocks.tensor(TensorName("\(dtype.rawValue).raw"))
      let elements = raw.byteCount / dtype.block.bytes * dtype.block.elements
      tensors[TensorName(dtype.rawValue)] = raw.withBytes { bytes in
        Tensor(dtype, [2, elements / 2]) { $0.copyMemory(from: bytes) }
      }
    }
    return MemorySource(tensors)
  }

  @Test(arguments: [nil, 8, 64] as [UInt32?])
  func whatIsWrittenIsReadAgain(_ alignment: UInt32?) throws {
    var metadata = metadata
    if let alignment { metadata.append("general.alignment", .uint32(alignment)) }
    let source = try tensors()
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/all.gguf"
      try GGUFWriter(metadata: metadata).write(source, to: path)
      let file = try GGUFReader(path)
      #expect(file.manifest.names == source.manifest.names)
      try expectSameTensors(file, source)
      #expect(file.metadata.members.map(\.key) == metadata.members.map(\.key))
      #expect(file.metadata.members.map(\.value) == metadata.members.map(\.value))
      #expect(try read(path).count % Int(alignment ?? 32) == 0)
      // The same again, and from what was read.
      try GGUFWriter(metadata: file.metadata).write(file, to: "\(folder)/again.gguf")
      #expect(try read(path) == read("\(folder)/again.gguf"))
    }
  }

  @Test func largeTensorsArePulledInPieces() throws {
    let rows = 300
    let floats = (0..<rows * 8192).map { Float($0 % 4099) }
    let source = PiecewiseSource(MemorySource(["large": Tensor(floats, shape: [rows, 8192])]))
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/large.gguf"
      try GGUFWriter().write(source, to: path)
      #expect(try GGUFReader(path).tensor("large").elements(as: Float.self) == floats)
    }
  }

  @Test func aFileIsReplacedOnlyWhenAsked() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/model.gguf"
      try write([1], to: path)
      let source = MemorySource([:])
      #expect(message(in: folder) { try GGUFWriter().write(source, to: path) } != nil)
      #expect(try read(path) == [1])
      try GGUFWriter(replacing: true).write(source, to: path)
      #expect(try GGUFReader(path).manifest.count == 0)
    }
  }

  @Test func whatTheFormatCannotHoldIsRefused() throws {
    try inTemporaryFolder { (folder) throws in
      func refusal(_ name: TensorName, _ tensor: Tensor) -> String? {
        message(in: folder) {
          try GGUFWriter().write(MemorySource([name: tensor]), to: "\(folder)/m.gguf")
        }
      }
      let one = Tensor([1])
      #expect(refusal(TensorName(String(repeating: "n", count: 63)), one) == nil)
      try FileManager.default.removeItem(atPath: "\(folder)/m.gguf")
      #expect(
        refusal(TensorName("ü" + String(repeating: "n", count: 62)), one)?.hasSuffix(
          ": the name has 64 bytes; GGUF allows 1 to 63, without a zero byte."
        ) == true
      )
      #expect(
        refusal("", one)
          == "m.gguf, '': the name has 0 bytes; GGUF allows 1 to 63, without a zero byte."
      )
      #expect(
        refusal("a", Tensor([1], shape: [1, 1, 1, 1, 1]))
          == "m.gguf, 'a': it has 5 dimensions; GGUF allows 4."
      )
      #expect(
        refusal("a", Tensor(.u8, [1], copying: [1] as [UInt8]))?.hasPrefix(
          "m.gguf, 'a': GGUF has no type for U8; it has F32, F16, Q4_0, "
        ) == true
      )
      #expect(
        refusal("a", Tensor(.q8_0, [2, 16]) { _ in })
          == "m.gguf, 'a': its shape is [2, 16]; rows of Q8_0 are made of blocks of 32."
      )
      func refusal(_ key: String, _ value: GGUFValue) -> String? {
        var metadata = GGUFMetadata()
        metadata.append(key, value)
        return message(in: folder) {
          try GGUFWriter(metadata: metadata).write(MemorySource([:]), to: "\(folder)/m.gguf")
        }
      }
      #expect(refusal("", .bool(true)) == "m.gguf: a key of the metadata is empty.")
      #expect(
        refusal("general.alignment", .uint32(12))
          == "m.gguf: general.alignment is uint32(12); a power of two from 8 on is needed, as"
          + " uint32."
      )
      #expect(
        refusal("split.count", .uint16(2))
          == "m.gguf: the metadata call it a part of a split model; whole files are written."
      )
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }
  }
}

/// Gives elements alone, and no more than 8 MiB of them at a time.
private struct PiecewiseSource: TensorSource {
  let base: MemorySource
  var manifest: Manifest { base.manifest }

  init(_ base: MemorySource) { self.base = base }

  func isDivisible(_ name: TensorName) -> Bool { true }

  func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    throw CheckpointError(.inputOutput, file: "memory", tensor: name, "it was pulled as a whole.")
  }

  func elements(_ range: Range<Int>, of name: TensorName) throws(CheckpointError) -> Tensor {
    let piece = try base.elements(range, of: name)
    guard piece.byteCount <= 8 << 20 else {
      throw CheckpointError(.inputOutput, file: "memory", tensor: name, "the piece is too large.")
    }
    return piece
  }
}
