/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutants.h: the deliberate faults behind mutant(n), and the rig that must catch each. A test suite
 * that lets one of these live is not worth its time. tests/sim/mutants.py reads this table: one
 * MUTANT(number, name, rig, what) per line, in this form. It fails when a number is here or in the
 * sources only. Rigs: sim (the simulator), replay (tests/replay), wal, store, superblock, worker,
 * client_core (the unit test of that name).
 */
#ifndef CAIRN_TESTS_MUTANTS_H
#define CAIRN_TESTS_MUTANTS_H

#define MUTANTS(MUTANT)                                                                            \
	MUTANT(1, ack_before_durable, sim, "a follower acknowledges before its record is durable") \
	MUTANT(2, own_before_durable, sim, "a coordinator counts itself before its record is")     \
	MUTANT(3, stale_ack_early, sim, "a stale INV is acknowledged before the newer is durable") \
	MUTANT(4, val_any_ts, sim, "VAL is accepted for any timestamp")                            \
	MUTANT(5, read_invalid, sim, "reads are served while the key is not Valid")                \
	MUTANT(6, rmw_acked, sim, "the INV of an overtaken RMW is acknowledged, not refused")      \
	MUTANT(7, one_ack_missing, sim, "an update commits with one acknowledgement missing")      \
	MUTANT(8, ack_any_op, sim, "an ACK counts for whatever the op slot now holds")             \
	MUTANT(9, incarnation_constant, sim, "timestamps carry incarnation 1 for ever")            \
	MUTANT(10, stale_incarnation, replay, "frames of and for dead incarnations are taken") \
	MUTANT(11, no_dedup, sim, "a request that arrives twice is executed twice")                \
	MUTANT(12, write_by_one, sim, "a blind write advances the version by 1, like an RMW")      \
	MUTANT(13, trans_validates, sim, "completing from Trans validates the key and sends VAL")  \
	MUTANT(14, recovery_valid, sim, "recovered keys are Valid at once")                        \
	MUTANT(15, abort_ignored, sim, "an RMW overtaken by a newer update still completes")     \
	MUTANT(16, no_retransmit, sim, "lost INVs are not sent again")                             \
	MUTANT(17, replay_new_ts, sim, "a replay makes up a new timestamp")                        \
	MUTANT(18, rival_validated, sim, "a write is validated although somebody holds a newer")   \
	MUTANT(19, acks_outlive_restart, replay, "ACKs of before a restart count after it")        \
	MUTANT(40, durable_submitted, sim, "what was handed to the device counts as durable")      \
	MUTANT(41, chain_unchecked, wal, "recovery takes a batch with another predecessor")        \
	MUTANT(42, rot_is_torn, wal, "a damaged durable batch is cut off like a torn tail")        \
	MUTANT(43, merge_any_ts, store, "recovery keeps the last record of a key, not the newest") \
	MUTANT(44, durable_gap, sim, "a batch counts as durable before the one in front of it")    \
	MUTANT(45, body_unchecked, sim, "recovery takes a batch whose body is damaged")            \
	MUTANT(46, reset_ignored, worker, "recovery keeps what a RESET record made void")          \
	MUTANT(47, note_ignored, worker, "recovery forgets updates that were overtaken at once")  \
	MUTANT(48, gap_in_index, store, "removing a key hides those behind it in the index")       \
	MUTANT(49, incarnation_kept, superblock, "a start does not write its incarnation down")    \
	MUTANT(50, resend_elsewhere, client_core, "updates of a lost session are sent as new ones") \
	MUTANT(51, any_reply, client_core, "a late reply counts for the next id in its place")     \
	MUTANT(52, prior_unsaid, client_retry, "a retry does not say who may have executed it")    \
	MUTANT(53, ids_per_server, client_retry, "request ids start again at every server")        \
	MUTANT(54, evicted_is_not_done, client_retry, "what was forgotten is sent as a new one")   \
	MUTANT(55, retry_new_id, client_retry, "a retry gets another request id")                  \
	MUTANT(60, lease_by_old_clock, worker, "leases are checked with an old time") \
	MUTANT(70, offset_unchecked, wal, "recovery takes a batch meant for another place")        \
	MUTANT(71, device_unchecked, wal, "recovery takes a batch of another device")              \
	MUTANT(72, sequence_unchecked, wal, "recovery takes a batch out of sequence")              \
	MUTANT(73, older_life, wal, "recovery takes a batch of an older life after a newer one's") \
	MUTANT(74, durable_unsaid, wal, "no batch says that the one before is durable") \
	MUTANT(75, no_room_check, wal, "the log takes records it has no room for")                 \
	MUTANT(76, write_error_ignored, wal, "a failed write counts as done")                      \
	MUTANT(77, base_forgotten, store, "recovery forgets what an update was made from")         \
	MUTANT(78, one_copy, superblock, "a start writes one superblock copy, not both")           \
	MUTANT(79, drops_all, store, "dropping a shard drops the store's other shards too")

#endif
