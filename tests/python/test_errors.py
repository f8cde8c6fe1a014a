# SPDX-License-Identifier: Apache-2.0
"""Exceptions and enumerations."""

import pickle
import unittest

import nixl
from support import Case


class Errors(Case):
    PAIRS = (
        (nixl.InvalidArgumentError, ValueError), (nixl.OutOfRangeError, ValueError),
        (nixl.OutOfRangeError, IndexError), (nixl.NotFoundError, FileNotFoundError),
        (nixl.NotFoundError, KeyError), (nixl.PermissionDeniedError, PermissionError),
        (nixl.OutOfMemoryError, MemoryError), (nixl.TransferTimeout, TimeoutError),
        (nixl.PeerLostError, ConnectionError), (nixl.InputOutputError, OSError),
        (nixl.NoSpaceError, OSError), (nixl.ShortTransferError, EOFError),
        (nixl.UnsupportedError, NotImplementedError), (nixl.MetadataNotFoundError, KeyError),
        (nixl.TransferError, nixl.NIXLError))

    def test_each_is_a_nixl_error_and_the_builtin(self):
        """Proves: S-058 S-226"""
        for ours, builtin in self.PAIRS:
            with self.subTest(ours=ours.__name__):
                self.assertTrue(issubclass(ours, nixl.NIXLError))
                self.assertTrue(issubclass(ours, builtin))

    def test_message_is_a_sentence_with_the_hint(self):
        """Proves: S-058"""
        for ours, _ in self.PAIRS:
            error = ours("it broke", hint="mend it")
            self.assertEqual(str(error), "it broke (mend it)")
            self.assertEqual(error.hint, "mend it")

    def test_code_and_hint_of_a_real_one(self):
        """Proves: S-058"""
        with self.assertRaises(nixl.NIXLError) as caught:
            nixl.transfer(b"12", bytearray(1))

        self.assertEqual(caught.exception.code, "OUT_OF_RANGE")
        self.assertIsInstance(caught.exception.hint, str)
        self.assertNotIn("\n", str(caught.exception))

    def test_pickle_keeps_them(self):
        """Proves: S-058"""
        error = pickle.loads(pickle.dumps(nixl.NotFoundError("x", hint="y", detail=2)))

        self.assertIsInstance(error, nixl.NotFoundError)
        self.assertEqual((str(error), error.detail, error.code), ("x (y)", 2, "NOT_FOUND"))


class Enumerations(Case):
    def test_transfer_status(self):
        """Proves: S-059"""
        self.assertEqual([member.name for member in nixl.TransferStatus],
                         ["PENDING", "IN_PROGRESS", "SUCCESS", "FAILED", "CANCELLED", "TIMEOUT"])
        self.assertEqual(str(nixl.TransferStatus.SUCCESS), "SUCCESS")

    def test_backend_from_text(self):
        """Proves: S-060"""
        self.assertIs(nixl.Backend("ucx"), nixl.Backend.UCX)
        self.assertIs(nixl.Backend("UCX"), nixl.Backend.UCX)

    def test_unknown_backend_lists_names(self):
        """Proves: S-060"""
        with self.assertRaisesRegex(ValueError, "gds.*s3"):
            nixl.Backend("bogus")


if __name__ == "__main__":
    unittest.main()
