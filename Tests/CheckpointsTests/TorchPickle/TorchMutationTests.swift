import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// Damaged copies of a small file that torch.save wrote: all of them with KARAT_LONG=1, else some.
@Suite struct TorchMutationTests {
  private static let isLong = ProcessInfo.processInfo.environment["KARAT_LONG"] != nil
  private let seed: [UInt8]
  private let content: MemorySource

  init() throws {
    seed = try read(fixture("checkpoints/torch-seed.bin"))
    content = try Self.content(of: seed)
  }

  private static func content(of bytes: [UInt8]) throws(CheckpointError) -> MemorySource {
    let source = try TorchReader(CheckpointFile(bytes, named: "damaged"))
    var tensors: [TensorName: Tensor] = [:]
    for name in source.manifest.names {
      let tensor = try source.tensor(name)
      precondition(source.manifest[name] == TensorInfo(tensor.dtype, tensor.shape))
      tensors[name] = tensor
    }
    return MemorySource(tensors)
  }

  private enum Verdict {
    case refused
    case equal
    case different
  }

  private func verdict(_ bytes: [UInt8]) throws -> Verdict {
    do throws(CheckpointError) {
      let found = try Self.content(of: bytes)
      guard found.manifest.names == content.manifest.names else { return .different }
      for name in found.manifest.names {
        guard try found.tensor(name).isIdentical(to: content.tensor(name)) else {
          return .different
        }
      }
      return .equal
    } catch {
      #expect(error.file == "damaged")
      return .refused
    }
  }

  @Test func refusesEveryTruncation() throws {
    #expect(try verdict(seed) == .equal)
    for length in seed.indices { #expect(try verdict(Array(seed[..<length])) == .refused) }
  }

  @Test func everyByteChangedIsRefusedOrChangesNothing() throws {
    var refused = 0
    for place in seed.indices {
      var damaged = seed
      let step: UInt8 = Self.isLong ? 1 : 11
      // Every value in the long run; in the short one every eleventh, from another on at each byte.
      for offset in stride(from: Self.isLong ? 1 : UInt8(place % 11), through: 255, by: Int(step)) {
        damaged[place] = seed[place] ^ offset
        let verdict = try verdict(damaged)
        #expect(verdict != .different, "byte \(place) ^ \(offset)")
        if verdict == .refused { refused += 1 }
      }
    }
    #expect(refused > seed.count * (Self.isLong ? 128 : 12))
  }

  @Test func everyNumberSetToALimitIsRefusedOrChangesNothing() throws {
    let limits: [UInt64] = [
      0, 1, 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max >> 1, .max - 31, .max, 0xffff_ffff,
    ]
    for place in 0...seed.count - 8 {
      for value in limits {
        var damaged = seed
        damaged.replaceSubrange(
          place..<place + 8,
          with: withUnsafeBytes(of: value.littleEndian, Array.init)
        )
        #expect(try verdict(damaged) != .different, "byte \(place): \(value)")
      }
    }
  }

  /// The pickle changed, and its checksum made right: what an attacker would do.
  @Test func changedPicklesNeverTrap() throws {
    let pickle = 64..<64 + 247
    #expect(Array(seed[pickle.lowerBound..<pickle.lowerBound + 2]) == [0x80, 2])
    #expect(seed[pickle.upperBound - 1] == UInt8(ascii: "."))
    func repaired(_ damaged: [UInt8]) -> [UInt8] { ZipForgery(damaged).bytes }
    #expect(repaired(seed) == seed)
    var counts: [Verdict: Int] = [:]
    for place in pickle {
      var damaged = seed
      for offset in stride(from: 1, through: 255, by: Self.isLong ? 1 : 3) {
        damaged[place] = seed[place] ^ UInt8(offset)
        counts[try verdict(repaired(damaged)), default: 0] += 1
      }
    }
    // Operations and small numbers in random places, several at a time.
    var numbers = Numbers(seed: 11)
    let operations = Array("().GJKMNQRUX]abcehjqrstu}".utf8) + [0x80, 0x81, 0x85, 0x86, 0x87, 0x88]
    for _ in 0..<(Self.isLong ? 2_000_000 : 20_000) {
      var damaged = seed
      for _ in 0..<Int.random(in: 1...4, using: &numbers) {
        let place = Int.random(in: pickle, using: &numbers)
        damaged[place] =
          Bool.random(using: &numbers)
          ? operations[Int.random(in: operations.indices, using: &numbers)]
          : seed[Int.random(in: pickle, using: &numbers)]
      }
      counts[try verdict(repaired(damaged)), default: 0] += 1
    }
    for verdict in [Verdict.refused, .equal, .different] {
      #expect(counts[verdict, default: 0] > 0)
    }
  }
}
