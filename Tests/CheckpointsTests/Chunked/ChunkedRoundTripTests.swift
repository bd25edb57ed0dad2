import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// What goes into a KCF comes out of it, byte for byte.
@Suite struct ChunkedRoundTripTests {
  @Test func everyTypeAndShape() throws {
    var numbers = Numbers(seed: 1)
    var tensors: [TensorName: Tensor] = [:]
    for dtype in DType.allCases {
      let block = dtype.block.elements
      let shapes: [Shape] = [
        block == 1 ? [] : [block], [0], [3, 0, block], [1, block], [7, 11 * block],
        [1_048_583, block],
      ]
      for shape in shapes where shape.elementCount * dtype.block.bytes < 12_000_000 {
        tensors[TensorName("\(dtype.rawValue).\(shape)")] = Tensor(dtype, shape) { buffer in
          buffer.copyBytes(from: numbers.bytes(buffer.count, of: dtype))
        }
      }
    }
    let source = MemorySource(tensors, metadata: ["format": "pt", "é": "ü\n", "": "empty"])
    let attachments: [String: [UInt8]] = [
      "config.json": Array("{}".utf8), "a/b/empty": [],
      "tokenizer.json": numbers.bytes(2_500_000, of: .u8),
    ]
    let bytes = try chunked(source, attachments: attachments)
    let reader = try reader(bytes)
    try reader.verify()
    try expectSameTensors(reader, source)
    #expect(reader.manifest.names == source.manifest.names)
    #expect(reader.manifest.metadata == source.manifest.metadata)
    #expect(reader.attachments.map(\.name) == ["a/b/empty", "config.json", "tokenizer.json"])
    for (name, content) in attachments { #expect(try reader.attachment(name) == content) }
    #expect(try reader.modelRoot == ContentRoot.of(source, threads: 2))
    #expect(try bytes == chunked(reader, attachments: attachments))
  }

  @Test func everyRunOfElements() throws {
    var numbers = Numbers(seed: 2)
    for dtype in [DType.bf16, .q6K, .f6E2M3, .f64] {
      let count = 3_000_000 / dtype.block.bytes * dtype.block.elements
      let tensor = Tensor(dtype, [count]) { buffer in
        buffer.copyBytes(from: numbers.bytes(buffer.count, of: dtype))
      }
      let reader = try reader(try chunked(MemorySource(["a": tensor])))
      let chunk = (1 << 20) / dtype.block.bytes * dtype.block.elements
      for edge in [0, chunk, 2 * chunk, count] {
        for length in [0, 1, 2, 1000, chunk, chunk + 1] {
          let lower = max(edge - length * dtype.block.elements, 0)
          let upper = min(edge + length * dtype.block.elements, count)
          let range = lower / dtype.block.elements * dtype.block.elements..<upper
          #expect(try reader.elements(range, of: "a").isIdentical(to: tensor.elements(range)))
        }
      }
    }
  }

  @Test(arguments: ["F16", "BF16"])
  func everyPatternOfHalfPrecision(_ type: String) throws {
    let dtype = try #require(DType(rawValue: type))
    var numbers = Numbers(seed: 3)
    // Each pattern once, in order and shuffled, and among weights so that planes are compressed.
    let all = (0...UInt16.max).map { $0 }
    let weights = (0..<500_000).map { _ in UInt16(0x3c00) + UInt16(numbers.next() % 512) }
    let source = MemorySource([
      "ordered": Tensor(dtype, [256, 256], copying: all),
      "shuffled": Tensor(dtype, [65_536], copying: all.shuffled(using: &numbers)),
      "among weights": Tensor(dtype, [565_536], copying: weights + all),
    ])
    let reader = try reader(try chunked(source))
    try expectSameTensors(reader, source)
  }

  @Test func randomTensors() throws {
    var numbers = Numbers(seed: 4)
    let rounds = runsLong ? 100_000 : 2_000
    // 50 tensors share a file, so that flushing it does not take most of the time.
    for _ in 0..<rounds / 50 {
      var tensors: [TensorName: Tensor] = [:]
      for number in 0..<50 {
        let dtype = DType.allCases[Int(numbers.next() % UInt64(DType.allCases.count))]
        tensors[TensorName("\(number)")] = numbers.tensor(of: dtype, elements: 4096)
      }
      let source = MemorySource(tensors)
      let bytes = try chunked(source)
      let reader = try reader(bytes)
      #expect(try reader.modelRoot == ContentRoot.of(source, threads: 1))
      for (name, tensor) in tensors {
        #expect(try reader.tensor(name).isIdentical(to: tensor), "\(name)")
      }
    }
  }

  @Test func safetensorsAndBackIsTheSameFile() throws {
    for model in ["alice", "llama-tiny"] {
      try inTemporaryFolder { folder in
        let original = fixture("\(model)/model.safetensors")
        let source = try SafetensorsReader(original)
        try ChunkedWriter().write(source, to: folder + "/model.kcf")
        let reader = try #require(try Checkpoint.open(path: folder) as? ChunkedReader)
        #expect(try reader.modelRoot == ContentRoot.of(source, threads: 2))
        try SafetensorsWriter(metadata: reader.manifest.metadata)
          .write(reader, to: folder + "/back.safetensors")
        #expect(try read(folder + "/back.safetensors") == read(original))
      }
    }
  }

  @Test func threadsDoNotMatter() throws {
    var numbers = Numbers(seed: 5)
    var tensors: [TensorName: Tensor] = [:]
    for number in 0..<40 {
      let count = number % 4 == 0 ? 3_000_001 : Int(numbers.next() % 5000)
      tensors[TensorName("\(number)")] = Tensor(.f16, [count]) { buffer in
        buffer.copyBytes(from: numbers.bytes(buffer.count, of: .f16))
      }
    }
    let source = MemorySource(tensors)
    let attachments = ["a": numbers.bytes(1_500_000, of: .u8)]
    let once = try chunked(source, attachments: attachments, threads: 1)
    for threads in [2, 3, 8] {
      #expect(try chunked(source, attachments: attachments, threads: threads) == once)
    }
    var reader = try reader(once)
    for threads in [1, 2, 3, 8] {
      reader.threads = threads
      try expectSameTensors(reader, source)
    }
  }

  @Test func equalChunksAreStoredOnce() throws {
    var numbers = Numbers(seed: 6)
    let noise = (0..<1 << 20).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
    let one = Tensor(.u8, [1 << 20], copying: noise)
    let two = Tensor(.u8, [2 << 20], copying: noise + noise)
    let source = MemorySource(["one": one, "two": two])
    let bytes = try chunked(source, attachments: ["three": noise])
    #expect(bytes.count < (1 << 20) + 2000)
    let reader = try reader(bytes)
    try reader.verify()
    try expectSameTensors(reader, source)
    #expect(try reader.attachment("three") == noise)
  }

  @Test func nothingEverTakesMoreThanItself() throws {
    var numbers = Numbers(seed: 7)
    for dtype in DType.allCases {
      let count = 4000 * dtype.block.elements
      let tensor = Tensor(dtype, [count]) { buffer in
        for place in buffer.indices { buffer[place] = UInt8(truncatingIfNeeded: numbers.next()) }
      }
      let bytes = try chunked(MemorySource(["a": tensor]))
      // Head, headers and padding of two records at most, index and trailer.
      #expect(bytes.count <= tensor.byteCount + 64 + 2 * 128 + 256 + 128)
    }
  }
}
