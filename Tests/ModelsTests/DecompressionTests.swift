import KaratBytes
import KaratCheckpoints
import KaratKernels
import KaratModels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct DecompressionTests {
  /// DeepSeek's tiny model in blocks of 16 × 16, scales in another shard than their weights.
  @Test func deepSeekGivesTheReferencesBitsInBF16() throws {
    let files = try ModelFiles.open(fixture("deepseek-v3-fp8-tiny"))
    let found = try files.source.decompressed(config: files.config, file: files.path)
      .cast(to: .bf16, file: files.path)
    let expected = try SafetensorsReader(
      fixture("deepseek-v3-fp8-tiny/expected_bf16.safetensors")
    )
    #expect(Set(found.manifest.names) == Set(expected.manifest.names))
    for name in expected.manifest.names {
      #expect(try found.tensor(name).isIdentical(to: expected.tensor(name)), "\(name)")
    }
  }

  /// E4M3 codes of 1, 2, 4 and −1 over a ragged grid of blocks.
  private func blocks(
    scales: Tensor = Tensor([1, 10, 100, 1000, 10_000, 100_000], shape: [2, 3])
  ) -> MemorySource {
    let codes: [UInt8] = [0x38, 0x40, 0x48, 0xb8]
    return MemorySource([
      "w": Tensor(.f8E4M3, [3, 5], copying: (0..<15).map { codes[$0 % 4] }),
      "w_scale_inv": scales, "other": Tensor([1.5]),
    ])
  }

  private func config(_ text: String) throws -> JSONObject? {
    try JSONValue.parse(Array(text.utf8)).object
  }
  private let blocks2 = #"{"quantization_config":{"weight_block_size":[2,2]}}"#

  @Test func raggedBlocksAtBothEdgesHaveTheirOwnScales() throws {
    let decoded = try blocks().decompressed(config: config(blocks2), file: "a")
    let numbers: [Float] = [1, 2, 4, -1, 1, 2, 4, -1, 1, 2, 4, -1, 1, 2, 4]
    let scales: [Float] = [
      1, 1, 10, 10, 100, 1, 1, 10, 10, 100, 1000, 1000, 10_000, 10_000, 100_000,
    ]
    #expect(decoded.manifest.names.map(\.text).sorted() == ["other", "w"])
    let whole = try decoded.tensor("w")
    #expect(whole.shape == [3, 5])
    #expect(whole.elements(as: Float.self) == zip(numbers, scales).map { $0 * $1 })
    for start in 0..<15 {
      for end in start...15 {
        let run = try decoded.elements(start..<end, of: "w").elements(as: Float.self)
        #expect(run == Array(whole.elements(as: Float.self)[start..<end]))
      }
    }
  }

  @Test func scalesMayBePowersOfTwo() throws {
    let scales = Tensor(.f8E8M0, [2, 3], copying: [127, 128, 126, 0, 254, 255] as [UInt8])
    let decoded = try blocks(scales: scales).decompressed(config: config(blocks2), file: "a")
    let found = try decoded.tensor("w").elements(as: Float.self)
    #expect(found[0] == 1 && found[2] == 8 && found[4] == 0.5)
    #expect(found[10] == 0x1p-125 && found[12] == 0x1p127)
    #expect(found[13] == .infinity && found[14].isNaN)
  }

  @Test func scalesThatDoNotFitAreRefused() throws {
    #expect(
      message { _ = try blocks().decompressed(config: config("{}"), file: "a") }
        == "a, 'w_scale_inv': its shape is [2, 3]; 'w' of shape [3, 5] has [1, 1] blocks of"
        + " 128 × 128. Check weight_block_size in config.json."
    )
    let integers = Tensor(.i32, [2, 3], copying: [1, 2, 3, 4, 5, 6] as [Int32])
    #expect(
      message {
        _ = try blocks(scales: integers).decompressed(config: config(blocks2), file: "a")
      } == "a, 'w_scale_inv': it is I32; floating-point scales were needed."
    )
  }

  @Test func aMissingScaleIsAnError() throws {
    let source = blocks().overlaid(with: [:], removing: ["w_scale_inv"])
    #expect(
      message { _ = try source.decompressed(config: config(blocks2), file: "a") }
        == "a, 'w': its numbers are F8_E4M3, and 'w_scale_inv', which each block of them is"
        + " multiplied with, is not there. Fetch all files of the checkpoint again."
    )
    // Numbers that nothing says are codes are numbers.
    #expect(try source.decompressed(config: nil, file: "a").manifest["w"]?.dtype == .f8E4M3)
  }

  @Test(arguments: [[3, 1], [1], []])
  func weightsWithScalesByRowOrWhole(_ extents: [Int]) throws {
    let scales = Array([2, 3, 5].prefix(extents.reduce(1, *))) as [Float]
    for (weight, one) in [
      (Tensor(.i8, [3, 2], copying: [1, -2, 3, 4, 5, -6] as [Int8]), Float(1)),
      (Tensor(.f8E4M3, [3, 2], copying: [0x38, 0xc0, 0x44, 0x48, 0x4a, 0xcc] as [UInt8]), 1),
    ] {
      let source = MemorySource([
        "a.weight": weight, "a.weight_scale": Tensor(scales, shape: Shape(extents)),
        "a.input_scale": Tensor([one]),
      ])
      let decoded = try source.decompressed(config: nil, file: "a")
      let rows = scales.count == 3 ? scales : Array(repeating: scales[0], count: 3)
      let expected: [Float] = [1, -2, 3, 4, 5, -6]
      #expect(
        try decoded.tensor("a.weight").elements(as: Float.self)
          == expected.enumerated().map { $0.element * rows[$0.offset / 2] }
      )
      #expect(decoded.manifest.names == ["a.weight"])
    }
  }
}
